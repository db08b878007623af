//! How a server has behaved towards reads: too many failures eject it, and a gate's vain wait is remembered.

use onefold_core::Lsn;
use std::time::{Duration, Instant};

/// As the balancer ejects upstreams.
const FAILURES_MAX: u32 = 5;
const EJECTED: Duration = Duration::from_secs(5);
const EJECTIONS_MAX: u32 = 6;
/// The probe brings news every 100 ms.
const HELD_BACK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Health {
    failures: u32,
    ejections: u32,
    ejected_until: Option<Instant>,
    /// What it had replayed when a gate gave up, and until when that counts.
    held_back: Option<(Lsn, Instant)>,
}

impl Health {
    /// Five failures in a row eject it, each time for longer; answers whether this one did.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures += 1;
        let ejected = self.failures >= FAILURES_MAX;
        if ejected {
            self.failures = 0;
            self.ejections = (self.ejections + 1).min(EJECTIONS_MAX);
            self.ejected_until = Some(now + EJECTED * self.ejections);
        }
        ejected
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.ejections = 0;
    }

    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }

    pub(crate) fn hold_back(&mut self, replayed: Lsn, now: Instant) {
        self.held_back = Some((replayed, now + HELD_BACK));
    }

    pub(crate) fn is_held_back(&self, replayed: Lsn, needed: Lsn, now: Instant) -> bool {
        self.held_back.is_some_and(|(at, until)| replayed <= at && at < needed && now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    #[test]
    fn five_failures_in_a_row_eject_for_longer_each_time() {
        let (mut health, clock) = (Health::default(), Clock::manual());
        let fail = |health: &mut Health, times: u32| (0..times).any(|_| health.failed(clock.now()));
        assert!(!fail(&mut health, 4));
        health.succeeded();
        assert!(!fail(&mut health, 4) && fail(&mut health, 1) && health.is_ejected(clock.now()));
        clock.advance(EJECTED);
        assert!(!health.is_ejected(clock.now()));
        assert!(fail(&mut health, 5));
        clock.advance(EJECTED);
        assert!(health.is_ejected(clock.now()), "the second time takes longer");
    }

    #[test]
    fn a_replica_held_back_is_asked_again_when_it_moves_or_after_a_while() {
        let (mut health, clock) = (Health::default(), Clock::manual());
        health.hold_back(Lsn(10), clock.now());
        assert!(health.is_held_back(Lsn(10), Lsn(20), clock.now()));
        assert!(!health.is_held_back(Lsn(11), Lsn(20), clock.now()), "it moves");
        clock.advance(HELD_BACK);
        assert!(!health.is_held_back(Lsn(10), Lsn(20), clock.now()));
    }
}
