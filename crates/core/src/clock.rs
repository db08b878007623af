//! The only place that asks the machine what time it is, so that a test can say so instead.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Time as an argument: the machine's, or one that a test turns by hand.
///
/// Cloning is cheap, and clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<Mutex<Manual>>),
}

#[derive(Debug)]
struct Manual {
    started: Instant,
    started_wall: SystemTime,
    elapsed: Duration,
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(Manual {
            started: Instant::now(),
            started_wall: SystemTime::now(),
            elapsed: Duration::ZERO,
        }))))
    }

    /// Monotonic time, for durations.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => {
                let manual = lock(manual);
                manual.started + manual.elapsed
            }
        }
    }

    /// Wall time, for people and for other machines.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Manual(manual) => {
                let manual = lock(manual);
                manual.started_wall + manual.elapsed
            }
        }
    }

    /// Moves a manual clock; the machine's clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            lock(manual).elapsed += by;
        }
    }
}

fn lock(manual: &Mutex<Manual>) -> std::sync::MutexGuard<'_, Manual> {
    manual.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual();
        let twin = clock.clone();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        twin.advance(Duration::from_secs(3));
        assert_eq!(clock.now() - start, Duration::from_secs(3));
    }
}
