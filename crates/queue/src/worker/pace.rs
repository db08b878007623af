//! How long a job takes, lately.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The weight of the newest of the samples: the mean follows within some dozen jobs.
const WEIGHT: f64 = 0.1;

/// An exponentially weighted mean of run times. A sample may be lost between two slots, which does no harm.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    /// Takes note of one run.
    pub(super) fn note(&self, run: Duration) {
        let (old, new) = (self.seconds(), run.as_secs_f64());
        let mean = if old.is_nan() { new } else { old + WEIGHT * (new - old) };
        self.0.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// The mean, once there is one.
    pub(super) fn mean(&self) -> Option<Duration> {
        let seconds = self.seconds();
        (!seconds.is_nan()).then(|| Duration::from_secs_f64(seconds))
    }

    fn seconds(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_runs() {
        let pace = Pace::new();
        assert_eq!(pace.mean(), None);
        for _ in 0..100 {
            pace.note(Duration::from_millis(1));
        }
        pace.note(Duration::from_millis(11));
        let mean = pace.mean().unwrap();
        assert!(mean > Duration::from_micros(1900) && mean < Duration::from_micros(2100), "{mean:?}");
    }
}
