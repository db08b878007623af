//! Who comes in, who waits and who is sent away: the decisions, without a clock or a task of their own.

use super::limit::{Limit, Sample};
use super::line::{Line, Ticket};
use super::priority::Priority;
use std::time::{Duration, Instant};

/// As many wait as run, but at least so many: a low limit must not lose a burst.
const LENGTH_MIN: u32 = 16;

/// A request that waits keeps at least this part of its time for its work.
const WORK_SHARE: u32 = 2;

/// The desk of one node. A waiting `W` that is dropped was refused.
#[derive(Debug)]
pub(super) struct Desk<W> {
    limit: Limit,
    line: Line<W>,
    in_flight: u32,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It runs: so many do now.
    Runs(u32),
    /// It waits until it is called, and this long at most.
    Waits(Ticket, Duration),
    /// It is refused.
    Refused(Reason),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// All places are taken, and so are those in line.
    Full,
    /// Its turn did not come in time.
    Slow,
    /// It is of low priority, and the node is busy.
    Low,
}

impl Reason {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::Slow, Self::Low];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Slow => "slow",
            Self::Low => "low",
        }
    }
}

impl<W> Desk<W> {
    pub(super) fn new(limit: Limit, now: Instant) -> Self {
        Self { limit, line: Line::new(now), in_flight: 0 }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.get()
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// A request arrives that has `left` of its time; `waiter` is made where it has to wait.
    pub(super) fn arrive(
        &mut self,
        priority: Priority,
        left: Duration,
        now: Instant,
        waiter: impl FnOnce() -> W,
    ) -> Arrival {
        let limit = self.limit.get();
        let places = match priority {
            Priority::Low => limit - limit / 4,
            Priority::Normal => limit,
            Priority::High => limit + (limit / 10).max(1),
        };
        if self.in_flight < places {
            self.in_flight += 1;
            return Arrival::Runs(self.in_flight);
        }
        if priority == Priority::Low {
            return Arrival::Refused(Reason::Low);
        }
        let patience = self.line.patience(now).min(left / WORK_SHARE);
        let length_max = limit.max(LENGTH_MIN) as usize;
        match self.line.join(priority, length_max, waiter()) {
            Some(ticket) => Arrival::Waits(ticket, patience),
            None => Arrival::Refused(Reason::Full),
        }
    }

    /// Somebody's patience has ended; `false` where it was called or pushed out before.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Instant) -> bool {
        self.line.leave(ticket, now)
    }

    /// A request has ended, or never began. What it took counts, where it says something of the node.
    pub(super) fn depart(&mut self, sample: Option<Sample<'_>>, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(sample) = sample {
            self.limit.learn(sample, now);
        }
    }

    /// The next that may run, and how many do then. Ask until nobody may.
    pub(super) fn call(&mut self, now: Instant) -> Option<(W, u32)> {
        if self.in_flight >= self.limit.get() {
            return None;
        }
        let called = self.line.call(now)?;
        self.in_flight += 1;
        Some((called, self.in_flight))
    }
}
