//! Who waits for a place: few, and not for long.
//!
//! Bounded in length and time after Facebook's "Fail at Scale" (Maurer, ACM Queue 2015), itself after `CoDel`: a line that
//! was empty a moment ago holds a burst, which may wait for long; one that has not been empty for a while is a standing
//! queue, which only adds to everybody's time, so nobody waits in it for more than a few milliseconds. And while it stands
//! the newest goes first: the oldest has the least time left, and would spoil the others' by going before them.

use super::priority::Priority;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A line that has not been empty for so long stands.
const STANDS_AFTER: Duration = Duration::from_millis(100);
/// How long somebody waits in a burst, and in a standing line.
const BURST_PATIENCE: Duration = Duration::from_millis(100);
const STANDING_PATIENCE: Duration = Duration::from_millis(5);

/// A place in line, to leave it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Those that wait. Dropped, a `W` is told that it was refused.
#[derive(Debug)]
pub(super) struct Line<W> {
    /// The oldest first; of those that may wait at all, the more important behind the less.
    waiting: [VecDeque<(Ticket, W)>; 2],
    next: u64,
    last_empty: Instant,
}

impl<W> Line<W> {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: [VecDeque::new(), VecDeque::new()], next: 0, last_empty: now }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// How long one that comes now may wait.
    pub(super) fn patience(&mut self, now: Instant) -> Duration {
        if self.len() == 0 {
            self.last_empty = now;
        }
        if self.stands(now) { STANDING_PATIENCE } else { BURST_PATIENCE }
    }

    /// Takes one in. Beyond `length_max` somebody else has to go: of the least important the one that has waited for
    /// longest, since it has the least time left. `None` where that would be the newcomer itself.
    pub(super) fn join(&mut self, priority: Priority, length_max: usize, waiter: W) -> Option<Ticket> {
        let rank = usize::from(priority == Priority::High);
        if self.len() >= length_max && !self.make_room(rank) {
            return None;
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting[rank].push_back((ticket, waiter));
        Some(ticket)
    }

    /// The next in turn.
    pub(super) fn call(&mut self, now: Instant) -> Option<W> {
        let stands = self.stands(now);
        let line = self.waiting.iter_mut().rev().find(|line| !line.is_empty())?;
        let called = if stands { line.pop_back() } else { line.pop_front() };
        self.note_empty(now);
        called.map(|(_, waiter)| waiter)
    }

    /// Leaves the line; `false` for one that is not in it any more.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Instant) -> bool {
        let before = self.len();
        for line in &mut self.waiting {
            // Tickets ascend within a line.
            if let Ok(place) = line.binary_search_by_key(&ticket.0, |(other, _)| other.0) {
                line.remove(place);
            }
        }
        self.note_empty(now);
        self.len() < before
    }

    fn stands(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_empty) > STANDS_AFTER
    }

    fn make_room(&mut self, rank: usize) -> bool {
        let least = self.waiting.iter_mut().take(rank + 1).find(|line| !line.is_empty());
        least.and_then(VecDeque::pop_front).is_some()
    }

    fn note_empty(&mut self, now: Instant) {
        if self.len() == 0 {
            self.last_empty = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    #[test]
    fn a_burst_is_served_in_turn_and_a_standing_line_newest_first() {
        let clock = Clock::manual();
        let mut line = Line::new(clock.now());
        assert_eq!(line.patience(clock.now()), BURST_PATIENCE);
        for n in 1..=4 {
            line.join(Priority::Normal, 10, n);
        }
        assert_eq!(line.call(clock.now()), Some(1));
        clock.advance(STANDS_AFTER * 2);
        assert_eq!(line.patience(clock.now()), STANDING_PATIENCE);
        assert_eq!(line.call(clock.now()), Some(4));
        assert_eq!([line.call(clock.now()), line.call(clock.now())], [Some(3), Some(2)]);
        assert_eq!((line.call(clock.now()), line.patience(clock.now())), (None, BURST_PATIENCE));
    }

    #[test]
    fn the_important_go_first_and_push_out_the_others_but_not_the_other_way_round() {
        let now = Clock::manual().now();
        let mut line = Line::new(now);
        line.join(Priority::Normal, 2, "old");
        line.join(Priority::Normal, 2, "new");
        line.join(Priority::High, 2, "high");
        assert_eq!((line.len(), line.call(now)), (2, Some("high")));
        line.join(Priority::High, 2, "high");
        line.join(Priority::High, 2, "higher");
        assert_eq!(line.join(Priority::Normal, 2, "late"), None);
        assert_eq!([line.call(now), line.call(now), line.call(now)], [Some("high"), Some("higher"), None]);
    }

    #[test]
    fn one_that_leaves_is_not_called() {
        let now = Clock::manual().now();
        let mut line = Line::new(now);
        let tickets = ["a", "b", "c"].map(|name| line.join(Priority::Normal, 3, name).unwrap());
        assert!(line.leave(tickets[1], now) && !line.leave(tickets[1], now));
        assert_eq!([line.call(now), line.call(now), line.call(now)], [Some("a"), Some("c"), None]);
        assert!(!line.leave(tickets[0], now));
    }
}
