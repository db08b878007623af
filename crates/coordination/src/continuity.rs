//! Whether the service has been there without a break, long enough to judge who is missing.

use std::time::{Duration, Instant};

/// Watches the answers of the service for a break.
///
/// While the service is away nobody can renew, so when it comes back every lease looks ended. Who was only cut
/// off must have the time to renew before anybody is called missing.
#[derive(Debug)]
pub(crate) struct Continuity {
    ttl: Duration,
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Continuity {
    /// Judges leases of this ttl, which are renewed each third of it.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, since: None, last: None }
    }

    /// Notes an answer, and tells whether the service has been there for a whole ttl: a break longer than the
    /// pause between two renewals starts anew.
    pub(crate) fn answered(&mut self, now: Instant) -> bool {
        let unbroken = self.last.is_some_and(|last| now - last <= self.ttl / 3);
        self.last = Some(now);
        let since = match self.since {
            Some(since) if unbroken => since,
            _ => *self.since.insert(now),
        };
        now - since >= self.ttl
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    #[test]
    fn after_a_break_a_whole_ttl_passes_before_anybody_is_called_missing() {
        let clock = Clock::manual();
        let step = Duration::from_millis(500);
        let mut continuity = Continuity::new(Duration::from_secs(3));
        let mut answered_for = |steps: usize| {
            (0..steps)
                .map(|_| {
                    clock.advance(step);
                    continuity.answered(clock.now())
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(answered_for(8), [false, false, false, false, false, false, true, true]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(answered_for(7), [false, false, false, false, false, false, true]);
    }
}
