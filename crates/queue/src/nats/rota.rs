//! In which order a worker asks the lanes, a queue at a priority each, and which of them together.
//!
//! To ask an empty lane costs a round trip, and a busy worker has two before every batch: those of the better
//! priorities. So quiet lanes are asked together with the first that had something left when it was asked last, each
//! for a small share of what is wanted. A better priority is not passed over by that: what comes there is in the same
//! batch, and if it is more than the share, the lane is asked before the others from then on. A small fetch, which
//! has nothing to divide, asks one lane after the other.

use crate::Priority;

/// The part of a fetch that quiet lanes may have together.
const QUIET_PART: usize = 16;

/// The lanes of one worker.
#[derive(Debug)]
pub(super) struct Rota {
    queues: usize,
    /// Which queue comes first within a priority: another at each fetch, so that none starves.
    turn: usize,
    /// By priority and queue, whether it gave all that it was asked for, when it was asked last.
    has_more: Vec<bool>,
}

/// One lane that is to be asked, and for how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) priority: Priority,
    /// Its place among the worker's queues.
    pub(super) queue: usize,
    pub(super) share: usize,
}

impl Rota {
    pub(super) fn new(queues: usize) -> Self {
        Self { queues, turn: 0, has_more: vec![false; queues * Priority::ALL.len()] }
    }

    pub(super) fn len(&self) -> usize {
        self.has_more.len()
    }

    /// Another queue comes first.
    pub(super) fn next_turn(&mut self) {
        self.turn = (self.turn + 1) % self.queues;
    }

    /// The lanes to ask next, together, after so many of this turn; never for more than `limit` in all.
    pub(super) fn flight(&self, asked: usize, limit: usize) -> Vec<Ask> {
        let next = self.ask(asked, limit);
        let quiet = (asked..self.len()).take_while(|place| !self.had_more(*place)).count();
        let share = limit.checked_div(QUIET_PART * quiet).unwrap_or(0);
        // No lane has more, the next one has, or there is too little to divide.
        if asked + quiet == self.len() || share == 0 {
            return vec![next];
        }
        let busy = self.ask(asked + quiet, limit - share * quiet);
        (asked..asked + quiet).map(|place| self.ask(place, share)).chain([busy]).collect()
    }

    /// Remembers how many messages a lane had.
    pub(super) fn note(&mut self, ask: &Ask, messages: usize) {
        let index = self.index(ask.priority, ask.queue);
        self.has_more[index] = messages >= ask.share;
    }

    /// Whether any lane had more than it was asked for.
    pub(super) fn has_more(&self) -> bool {
        self.has_more.contains(&true)
    }

    /// The lane at a place of this turn's order.
    fn ask(&self, place: usize, share: usize) -> Ask {
        let priority = Priority::ALL[place / self.queues];
        Ask { priority, queue: (place % self.queues + self.turn) % self.queues, share }
    }

    fn had_more(&self, place: usize) -> bool {
        let Ask { priority, queue, .. } = self.ask(place, 0);
        self.has_more[self.index(priority, queue)]
    }

    fn index(&self, priority: Priority, queue: usize) -> usize {
        priority as usize * self.queues + queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lanes that a fetch asks, and what it gets from those that have so many messages each.
    fn fetch(rota: &mut Rota, lanes: &mut [usize], limit: usize) -> (Vec<Vec<Ask>>, usize) {
        rota.next_turn();
        let (mut flights, mut asked, mut got) = (Vec::new(), 0, 0);
        while asked < rota.len() && got < limit {
            let flight = rota.flight(asked, limit - got);
            asked += flight.len();
            for ask in &flight {
                let lane = &mut lanes[rota.index(ask.priority, ask.queue)];
                let messages = ask.share.min(*lane);
                *lane -= messages;
                got += messages;
                rota.note(ask, messages);
            }
            flights.push(flight);
        }
        (flights, got)
    }

    proptest! {
        #[test]
        fn no_fetch_brings_too_much_or_leaves_what_it_has_room_for(
            queues in 1_usize..4, limits in proptest::collection::vec(1_usize..2000, 1..20),
            lanes in proptest::collection::vec(0_usize..3000, 16),
        ) {
            let mut rota = Rota::new(queues);
            let mut lanes = lanes[..rota.len()].to_vec();
            for limit in limits {
                let there: usize = lanes.iter().sum();
                let (flights, got) = fetch(&mut rota, &mut lanes, limit);
                prop_assert!(got <= limit);
                prop_assert!(flights.iter().flatten().all(|ask| ask.share > 0));
                // Or the worker is told that there is more.
                prop_assert!(got == limit.min(there) || rota.has_more());
            }
        }

        #[test]
        fn what_comes_at_a_better_priority_is_in_the_next_batch(
            limit in 1_usize..2000, urgent in 1_usize..3000, normal in 0_usize..10_000,
        ) {
            let mut rota = Rota::new(1);
            let mut lanes = [0, 0, normal, 0];
            fetch(&mut rota, &mut lanes, limit);
            lanes[0] = urgent;
            fetch(&mut rota, &mut lanes, limit);
            prop_assert!(lanes[0] < urgent);
            let left = lanes[0];
            let (flights, _) = fetch(&mut rota, &mut lanes, limit);
            // What there is still comes before all else.
            let all = Ask { priority: Priority::Urgent, queue: 0, share: limit };
            prop_assert!(left == 0 || flights[0] == [all]);
        }
    }

    #[test]
    fn a_busy_worker_asks_once() {
        let mut rota = Rota::new(1);
        let mut lanes = [0, 0, 5000, 0];
        let (first, _) = fetch(&mut rota, &mut lanes, 1000);
        assert_eq!(first.len(), 3);
        let (second, got) = fetch(&mut rota, &mut lanes, 1000);
        let shares: Vec<usize> = second[0].iter().map(|ask| ask.share).collect();
        // The batch is less than it might be by what the quiet lanes were left.
        assert_eq!((shares, got), (vec![31, 31, 938], 938));
    }
}
