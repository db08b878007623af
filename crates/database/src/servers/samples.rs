//! When the primary's log had reached what: by this, and this node's clock alone, staleness is known.

use crate::session::Position;
use onefold_core::Lsn;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One minute at ten a second: longer staleness than that is "too stale" for every purpose here.
const SAMPLES_MAX: usize = 600;

/// Own probes of the primary on its present timeline, oldest first, and where older timelines certainly lead
/// into it.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    timeline: u32,
    flushed: VecDeque<(Instant, Lsn)>,
    /// (timeline, LSN): that timeline up to that LSN is part of the present history.
    proven: Vec<Position>,
    /// The primary shows every commit up to here.
    settled: Option<Position>,
}

impl Samples {
    /// Notes that a probe which began at `asked` found the primary's log flushed up to `lsn`.
    pub(crate) fn note(&mut self, asked: Instant, timeline: u32, lsn: Lsn) {
        if timeline != self.timeline {
            self.timeline = timeline;
            self.flushed.clear();
        }
        if self.flushed.len() == SAMPLES_MAX {
            self.flushed.pop_front();
        }
        self.flushed.push_back((asked, lsn));
    }

    /// The newest flush LSN that was seen on this timeline.
    pub(crate) fn flushed(&self, timeline: u32) -> Option<Lsn> {
        self.flushed.back().filter(|_| self.timeline == timeline).map(|(_, lsn)| *lsn)
    }

    /// When the primary was last seen on this timeline.
    pub(crate) fn newest(&self, timeline: u32) -> Option<Instant> {
        self.flushed.back().filter(|_| self.timeline == timeline).map(|(asked, _)| *asked)
    }

    /// How stale a replica is at most that has replayed up to `replayed` on this timeline.
    pub(crate) fn staleness(&self, timeline: u32, replayed: Lsn, now: Instant) -> Option<Duration> {
        if timeline != self.timeline {
            return None;
        }
        let newest = self.flushed.iter().rev().find(|(_, flushed)| *flushed <= replayed)?;
        Some(now.saturating_duration_since(newest.0))
    }

    /// Notes that a server which now is primary on `timeline` had, as a replica on an older one, shown `shown`.
    pub(crate) fn promoted(&mut self, shown: Position, timeline: u32) {
        // A promotion on top of this one may have cut the older timelines shorter.
        self.proven.retain(|proven| proven.timeline < shown.timeline);
        for proven in &mut self.proven {
            proven.lsn = proven.lsn.min(shown.lsn);
        }
        if shown.timeline < timeline {
            self.proven.push(shown);
        }
    }

    /// Notes that the primary of this timeline shows every commit up to a position.
    pub(crate) fn settled(&mut self, at: Position) {
        if !self.is_settled(at) {
            self.settled = Some(at);
        }
    }

    /// Whether the primary of this timeline certainly shows every commit up to a position.
    pub(crate) fn is_settled(&self, at: Position) -> bool {
        self.settled.is_some_and(|settled| settled.timeline == at.timeline && settled.lsn >= at.lsn)
    }

    /// Whether a position certainly lies on the history of `timeline`.
    pub(crate) fn is_on_history(&self, position: Position, timeline: u32) -> bool {
        position.timeline == timeline
            || self.proven.iter().any(|p| p.timeline == position.timeline && position.lsn <= p.lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    #[test]
    fn a_primary_is_settled_up_to_a_position_of_its_own_timeline() {
        let at = |timeline, lsn| Position { timeline, lsn: Lsn(lsn) };
        let mut samples = Samples::default();
        samples.settled(at(1, 50));
        samples.settled(at(1, 40));
        assert!(samples.is_settled(at(1, 50)) && !samples.is_settled(at(1, 51)));
        samples.settled(at(2, 45));
        assert!(samples.is_settled(at(2, 45)) && !samples.is_settled(at(1, 45)));
    }

    #[test]
    fn staleness_is_measured_from_the_newest_probe_that_the_replica_has_caught_up_with() {
        let clock = Clock::manual();
        let mut samples = Samples::default();
        for lsn in [10, 20, 30] {
            samples.note(clock.now(), 1, Lsn(lsn));
            clock.advance(Duration::from_millis(100));
        }
        let staleness = |lsn| samples.staleness(1, Lsn(lsn), clock.now());
        assert_eq!(staleness(35), Some(Duration::from_millis(100)));
        assert_eq!(staleness(20), Some(Duration::from_millis(200)));
        assert_eq!(staleness(9), None, "older than every probe");
        assert_eq!(samples.staleness(2, Lsn(35), clock.now()), None, "another timeline");
    }

    #[test]
    fn an_idle_primary_makes_no_replica_stale() {
        let clock = Clock::manual();
        let mut samples = Samples::default();
        for _ in 0..50 {
            samples.note(clock.now(), 1, Lsn(10));
            clock.advance(Duration::from_millis(100));
        }
        assert_eq!(samples.staleness(1, Lsn(10), clock.now()), Some(Duration::from_millis(100)));
    }

    #[test]
    fn older_timelines_are_proven_up_to_what_the_promoted_replica_had_shown() {
        let mut samples = Samples::default();
        samples.promoted(Position { timeline: 1, lsn: Lsn(100) }, 2);
        let on_history = |samples: &Samples, timeline, lsn, now| {
            samples.is_on_history(Position { timeline, lsn: Lsn(lsn) }, now)
        };
        assert!(on_history(&samples, 1, 100, 2));
        assert!(!on_history(&samples, 1, 101, 2));
        assert!(on_history(&samples, 2, 999, 2));
        samples.promoted(Position { timeline: 2, lsn: Lsn(150) }, 3);
        assert!(on_history(&samples, 1, 100, 3) && on_history(&samples, 2, 150, 3));
        assert!(!on_history(&samples, 2, 151, 3));
    }
}
