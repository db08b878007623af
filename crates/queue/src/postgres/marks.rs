//! Where each fetch begins: the watermark that steps over dead rows.
//!
//! One idle open transaction pins the vacuum horizon, and every fetch would walk over the rows of all jobs that
//! have ended since. So a fetcher remembers the last row of its last batch, for each lane (a queue at a
//! priority), and begins there. What appears behind the mark (retries, rescues, late commits) is found by a full
//! scan each second; only a full scan may say that the queue is empty.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::{Duration, Instant};

/// How often a fetch begins at the beginning.
pub(super) const FULL_SCAN_EVERY: Duration = Duration::from_secs(1);

/// How far a fetcher that is not pressed looks back behind its mark: transactions that enqueued earlier may
/// commit later, and should not wait for the full scan. Under load the strict mark matters more.
const SLACK: TimeDelta = TimeDelta::milliseconds(250);

/// A position in a lane's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) run_at: DateTime<Utc>,
    pub(super) id: i64,
}

impl Mark {
    /// Before every row.
    pub(super) const BEGINNING: Self = Self { run_at: DateTime::UNIX_EPOCH, id: i64::MIN };
}

/// How much a fetch looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Everything.
    Full,
    /// From the marks on.
    Marked,
}

/// The marks of one fetcher, one for each of its lanes.
#[derive(Debug)]
pub(super) struct Marks {
    lanes: Vec<Option<Mark>>,
    last_full: Option<Instant>,
    pressed: bool,
}

impl Marks {
    /// No marks: the first scan is full.
    pub(super) fn new(lanes: usize) -> Self {
        Self { lanes: vec![None; lanes], last_full: None, pressed: false }
    }

    /// How much the next fetch looks at.
    pub(super) fn scan(&self, now: Instant) -> Scan {
        if self.until_full(now).is_zero() { Scan::Full } else { Scan::Marked }
    }

    /// How long until a full scan is due.
    pub(super) fn until_full(&self, now: Instant) -> Duration {
        self.last_full.map_or(Duration::ZERO, |last| (last + FULL_SCAN_EVERY).saturating_duration_since(now))
    }

    /// Where the fetch begins in a lane.
    pub(super) fn begin(&self, lane: usize, scan: Scan) -> Mark {
        match (scan, self.lanes[lane]) {
            (Scan::Full, _) | (_, None) => Mark::BEGINNING,
            (Scan::Marked, Some(mark)) if self.pressed => mark,
            (Scan::Marked, Some(mark)) => Mark { run_at: mark.run_at - SLACK, id: i64::MIN },
        }
    }

    /// Takes note of a batch: the last row of each lane that gave some, and whether the batch was full.
    ///
    /// A full batch may end behind the old mark (a full scan met a crowd of retries): the next fetch goes on
    /// from there. A short one has seen the lane's end, and the mark never goes back.
    pub(super) fn note(
        &mut self,
        scan: Scan,
        full_batch: bool,
        last: impl IntoIterator<Item = (usize, Mark)>,
        now: Instant,
    ) {
        if scan == Scan::Full {
            self.last_full = Some(now);
        }
        self.pressed = full_batch;
        for (lane, mark) in last {
            let old = self.lanes[lane];
            self.lanes[lane] = Some(if full_batch { mark } else { old.map_or(mark, |old| old.max(mark)) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(seconds: i64, id: i64) -> Mark {
        Mark { run_at: DateTime::from_timestamp(seconds, 0).unwrap(), id }
    }

    #[test]
    fn a_full_scan_comes_first_and_then_once_a_second() {
        let clock = Clock::manual();
        let mut marks = Marks::new(1);
        assert_eq!(marks.scan(clock.now()), Scan::Full);
        marks.note(Scan::Full, true, [(0, at(10, 1))], clock.now());
        assert_eq!(marks.scan(clock.now()), Scan::Marked);
        clock.advance(FULL_SCAN_EVERY);
        assert_eq!(marks.scan(clock.now()), Scan::Full);
    }

    #[test]
    fn a_fetcher_that_is_not_pressed_looks_back() {
        let now = Clock::manual().now();
        let mut marks = Marks::new(1);
        marks.note(Scan::Full, true, [(0, at(10, 5))], now);
        assert_eq!(marks.begin(0, Scan::Marked), at(10, 5));
        marks.note(Scan::Marked, false, [], now);
        assert!(marks.begin(0, Scan::Marked) < at(10, i64::MIN));
    }

    /// A lane as a set of rows, taken in order; some rows appear late, behind the mark.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64),
        Fetch(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![(0_i64..200).prop_map(Step::Insert), (1_usize..8).prop_map(Step::Fetch)];
        proptest::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn every_row_is_found_at_the_latest_by_a_full_scan(steps in steps()) {
            let clock = Clock::manual();
            let (mut marks, mut lane, mut next_id) = (Marks::new(1), BTreeSet::new(), 0);
            let mut fetch = |lane: &mut BTreeSet<Mark>, limit: usize| {
                let scan = marks.scan(clock.now());
                let begin = marks.begin(0, scan);
                let batch: Vec<Mark> = lane.range(begin..).take(limit).copied().collect();
                for row in &batch {
                    lane.remove(row);
                }
                let last = batch.last().map(|mark| (0, *mark));
                marks.note(scan, batch.len() == limit, last, clock.now());
                (scan, batch.len() == limit)
            };
            for step in steps {
                match step {
                    Step::Insert(seconds) => {
                        next_id += 1;
                        lane.insert(at(seconds, next_id));
                    }
                    Step::Fetch(limit) => {
                        fetch(&mut lane, limit);
                    }
                }
            }
            // Drains as the worker does: until a full scan gave a short batch.
            loop {
                match fetch(&mut lane, 4) {
                    (Scan::Full, false) => break,
                    (Scan::Marked, false) => clock.advance(FULL_SCAN_EVERY),
                    (_, true) => {}
                }
            }
            prop_assert!(lane.is_empty());
        }
    }
}
