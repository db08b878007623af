//! The state of the world: who stands where, and what each level holds.

use onefold_cache::decision::{Generation, LeaseId, View};
use onefold_core::Lsn;
use onefold_database::Stamp;
use uuid::Uuid;

pub(super) const NONE: u8 = u8::MAX;
pub(super) const WRITERS: usize = 2;
pub(super) const READERS: usize = 3;

/// Where a reader stands.
pub(super) mod at {
    pub(crate) const START: u8 = 0;
    pub(crate) const LOOK: u8 = 1;
    pub(crate) const GATE: u8 = 2;
    pub(crate) const READ: u8 = 3;
    pub(crate) const FILL: u8 = 4;
    pub(crate) const INTO_L1: u8 = 5;
    pub(crate) const WAIT: u8 = 6;
    pub(crate) const DONE: u8 = 7;
}

/// A stamp in a byte: replayed positions as they are, flushed ones from 128 up.
pub(super) type Mark = u8;

pub(super) fn mark(stamp: Stamp) -> Mark {
    match stamp {
        Stamp::Replayed(lsn) => small(lsn),
        Stamp::Flushed(lsn) => 128 + small(lsn),
    }
}

pub(super) fn stamp(mark: Mark) -> Stamp {
    if mark < 128 { Stamp::Replayed(lsn(mark)) } else { Stamp::Flushed(lsn(mark - 128)) }
}

pub(super) fn lsn(position: u8) -> Lsn {
    Lsn(u64::from(position))
}

pub(super) fn small(lsn: Lsn) -> u8 {
    u8::try_from(lsn.0).expect("a small world")
}

pub(super) fn lease(id: u8) -> Option<LeaseId> {
    (id != 0).then(|| LeaseId(Uuid::from_u128(u128::from(id))))
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct L2 {
    pub(super) value: u8,
    pub(super) valid: bool,
    pub(super) mark: Mark,
    /// The highest position that the value can show.
    pub(super) shown: u8,
    pub(super) tombstone: u8,
    pub(super) lease: u8,
    pub(super) floor: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Node {
    pub(super) value: u8,
    pub(super) mark: Mark,
    pub(super) shown: u8,
    pub(super) vouched: bool,
    pub(super) generation: u8,
    pub(super) floor: u8,
    pub(super) watermark: u8,
    pub(super) queue: [u8; WRITERS],
    pub(super) flight: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Reader {
    pub(super) at: u8,
    pub(super) generation: u8,
    pub(super) floor: u8,
    pub(super) watermark: u8,
    pub(super) lease: u8,
    pub(super) least: u8,
    pub(super) mark: Mark,
    pub(super) shown: u8,
    pub(super) value: u8,
    pub(super) from_l2: bool,
    pub(super) vouched: bool,
    pub(super) from_replica: bool,
    pub(super) leader: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) flushed: u8,
    pub(super) visible: u8,
    pub(super) replayed: u8,
    pub(super) may_forget: bool,
    pub(super) l2: L2,
    pub(super) nodes: [Node; 2],
    pub(super) writers: [u8; WRITERS],
    pub(super) readers: [Reader; READERS],
}

impl World {
    pub(super) fn node(mut self, index: usize, change: impl FnOnce(&mut Node)) -> Self {
        change(&mut self.nodes[index]);
        self
    }

    pub(super) fn reader(mut self, index: usize, change: impl FnOnce(&mut Reader)) -> Self {
        change(&mut self.readers[index]);
        self
    }
}

impl Node {
    pub(super) fn empty() -> Self {
        Self {
            value: NONE,
            mark: 0,
            shown: 0,
            vouched: false,
            generation: 0,
            floor: 0,
            watermark: 0,
            queue: [0; WRITERS],
            flight: NONE,
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            generation: Generation(u64::from(self.generation)),
            floor: lsn(self.floor),
            watermark: lsn(self.watermark),
        }
    }

    pub(super) fn hears(&mut self, view: View) {
        (self.value, self.mark, self.shown, self.vouched) = (NONE, 0, 0, false);
        self.generation = u8::try_from(view.generation.0).expect("a small world");
        self.floor = small(view.floor);
    }
}
