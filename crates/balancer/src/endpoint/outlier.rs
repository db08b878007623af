//! Passive ejection: a node that fails several requests in a row is left out for a while, then tried with one
//! request (Envoy's outlier detection).

use std::time::{Duration, Instant};

/// What bounds ejections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Failures in a row that eject.
    pub(crate) failures: u32,
    /// The length of the first ejection; the n-th takes n times as long.
    pub(crate) base: Duration,
    /// The longest.
    pub(crate) max: Duration,
}

/// How many of `endpoints` may be out at once: a third, but at least one, or the last node of a pair that
/// answers nothing would stay.
pub(crate) fn ejected_max(endpoints: usize) -> usize {
    (endpoints / 3).max(1)
}

/// A probe whose request ended without a verdict (its client left) holds the place this long.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// The record of one node.
#[derive(Debug)]
pub(crate) struct Outlier {
    standing: Standing,
    failures: u32,
    ejections: u32,
}

/// Whether requests go to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They do, since then.
    Serving(Option<Instant>),
    /// Not before then.
    Ejected(Instant),
    /// One does, since then.
    Probing(Instant),
}

/// What a request's outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// The node is out.
    Ejected(Duration),
    /// The node is back.
    Returned,
}

impl Outlier {
    pub(crate) fn new() -> Self {
        Self { standing: Standing::Serving(None), failures: 0, ejections: 0 }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether successes need to be told: there is something that they would change.
    pub(crate) fn is_troubled(&self) -> bool {
        self.failures > 0 || !matches!(self.standing, Standing::Serving(_))
    }

    /// Whether one more failure asks for an ejection.
    pub(crate) fn is_due(&self, limits: Limits) -> bool {
        matches!(self.standing, Standing::Serving(_)) && self.failures.saturating_add(1) >= limits.failures
    }

    /// Counts a failed request. `may_eject` says whether there is room for one more ejection.
    pub(crate) fn failed(&mut self, now: Instant, limits: Limits, may_eject: bool) -> Change {
        self.failures = self.failures.saturating_add(1);
        match self.standing {
            Standing::Serving(since) if self.failures >= limits.failures && may_eject => {
                self.forgive(since, now, limits);
                self.eject(now, limits)
            }
            Standing::Probing(_) => self.eject(now, limits),
            // Late answers of requests from before the ejection say nothing new.
            Standing::Serving(_) | Standing::Ejected(_) => Change::None,
        }
    }

    /// Counts a good answer.
    pub(crate) fn succeeded(&mut self, now: Instant) -> Change {
        match self.standing {
            Standing::Serving(_) => {
                self.failures = 0;
                Change::None
            }
            // A late answer from before the ejection does not end it.
            Standing::Ejected(_) => Change::None,
            Standing::Probing(_) => {
                self.failures = 0;
                self.standing = Standing::Serving(Some(now));
                Change::Returned
            }
        }
    }

    /// Takes the place of the one probing request, if the ejection has been over for `grace` and the place is free.
    pub(crate) fn try_probe(&mut self, now: Instant, grace: Duration) -> bool {
        let free = match self.standing {
            Standing::Serving(_) => false,
            Standing::Ejected(until) => until + grace <= now,
            Standing::Probing(since) => since + PROBE_MAX <= now,
        };
        if free {
            self.standing = Standing::Probing(now);
        }
        free
    }

    fn eject(&mut self, now: Instant, limits: Limits) -> Change {
        self.ejections = self.ejections.saturating_add(1);
        self.failures = 0;
        let length = limits.base.saturating_mul(self.ejections).min(limits.max);
        self.standing = Standing::Ejected(now + length);
        Change::Ejected(length)
    }

    /// Takes one ejection off the record for each `base` that the node has served well since its return.
    fn forgive(&mut self, since: Option<Instant>, now: Instant, limits: Limits) {
        let Some(since) = since else { return };
        let served = now.saturating_duration_since(since).as_millis();
        let forgiven = served.checked_div(limits.base.as_millis()).unwrap_or(u128::MAX);
        self.ejections = self.ejections.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { failures: 5, base: Duration::from_secs(30), max: Duration::from_mins(5) };

    fn fail(outlier: &mut Outlier, times: u32, now: Instant) -> Change {
        (0..times).map(|_| outlier.failed(now, LIMITS, true)).last().unwrap()
    }

    #[test]
    fn five_failures_in_a_row_eject_and_a_success_between_does_not() {
        let now = Clock::manual().now();
        let mut outlier = Outlier::new();
        assert_eq!(fail(&mut outlier, 4, now), Change::None);
        assert_eq!(outlier.succeeded(now), Change::None);
        assert_eq!(fail(&mut outlier, 4, now), Change::None);
        assert_eq!(fail(&mut outlier, 1, now), Change::Ejected(LIMITS.base));
    }

    #[test]
    fn ejections_grow_and_are_forgiven_by_good_service() {
        let clock = Clock::manual();
        let mut outlier = Outlier::new();
        assert_eq!(fail(&mut outlier, 5, clock.now()), Change::Ejected(Duration::from_secs(30)));
        clock.advance(Duration::from_secs(30));
        assert!(outlier.try_probe(clock.now(), Duration::ZERO));
        assert_eq!(fail(&mut outlier, 1, clock.now()), Change::Ejected(Duration::from_mins(1)));
        clock.advance(Duration::from_mins(1));
        assert!(outlier.try_probe(clock.now(), Duration::ZERO));
        assert_eq!(outlier.succeeded(clock.now()), Change::Returned);
        clock.advance(Duration::from_mins(1));
        assert_eq!(fail(&mut outlier, 5, clock.now()), Change::Ejected(Duration::from_secs(30)));
    }

    #[test]
    fn only_one_request_probes() {
        let clock = Clock::manual();
        let mut outlier = Outlier::new();
        fail(&mut outlier, 5, clock.now());
        assert!(!outlier.try_probe(clock.now(), Duration::ZERO), "the ejection is not over");
        clock.advance(Duration::from_secs(30));
        assert!(outlier.try_probe(clock.now(), Duration::ZERO));
        assert!(!outlier.try_probe(clock.now(), Duration::ZERO), "one is under way");
        clock.advance(PROBE_MAX);
        assert!(outlier.try_probe(clock.now(), Duration::ZERO), "the first was abandoned");
    }

    #[test]
    fn without_room_nobody_is_ejected() {
        let now = Clock::manual().now();
        let mut outlier = Outlier::new();
        for _ in 0..20 {
            assert_eq!(outlier.failed(now, LIMITS, false), Change::None);
        }
        assert_eq!([1, 2, 3, 5, 6, 9].map(ejected_max), [1, 1, 1, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn an_ejection_is_never_longer_than_its_limit_nor_endless(events in proptest::collection::vec(0_u8..4, 1..200)) {
            let clock = Clock::manual();
            let mut outlier = Outlier::new();
            for event in events {
                let now = clock.now();
                match event {
                    0 => { outlier.succeeded(now); }
                    1 => { outlier.failed(now, LIMITS, true); }
                    2 => { outlier.try_probe(now, Duration::ZERO); }
                    _ => clock.advance(Duration::from_secs(20)),
                }
                if let Standing::Ejected(until) = outlier.standing() {
                    prop_assert!(until <= clock.now() + LIMITS.max);
                }
            }
            // Whatever happened, a while later it is tried and may return.
            clock.advance(LIMITS.max + PROBE_MAX);
            if !matches!(outlier.standing(), Standing::Serving(_)) {
                prop_assert!(outlier.try_probe(clock.now(), Duration::ZERO));
                prop_assert_eq!(outlier.succeeded(clock.now()), Change::Returned);
            }
        }
    }
}
