//! The state of the world: who stands where, and what the node holds.

use onefold_cache::decision::{Generation, View};
use onefold_core::Lsn;
use onefold_database::Stamp;

pub(super) const NONE: u8 = u8::MAX;
pub(super) const WRITERS: usize = 2;
pub(super) const READERS: usize = 3;

/// The key that is read.
pub(super) const B: u8 = 1;

/// Where a writer stands.
pub(super) mod writer {
    pub(crate) const WRITTEN: u8 = 1;
    pub(crate) const VISIBLE: u8 = 2;
    pub(crate) const HAS_TOKEN: u8 = 3;
    pub(crate) const ANSWERED: u8 = 4;
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Writer {
    pub(super) at: u8,
    pub(super) lsn: u8,
    pub(super) token: u8,
}

/// A node's L1; its copy holds the number of B's writes that its load had seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Node {
    pub(super) value: u8,
    pub(super) from_replica: bool,
    pub(super) position: u8,
    /// The highest position that the copy can show.
    pub(super) shown: u8,
    pub(super) generation: u8,
    pub(super) floor: u8,
    pub(super) watermark: u8,
    /// Position and key of each message on the bus, in order.
    pub(super) queue: [(u8, u8); WRITERS],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Reader {
    pub(super) at: u8,
    pub(super) generation: u8,
    pub(super) least: u8,
    pub(super) from_replica: bool,
    pub(super) position: u8,
    pub(super) shown: u8,
    pub(super) value: u8,
}

pub(super) const READER_DONE: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) written: u8,
    pub(super) flushed: u8,
    pub(super) replayed: u8,
    pub(super) gaps: u8,
    pub(super) writers: [Writer; WRITERS],
    pub(super) node: Node,
    pub(super) readers: [Reader; READERS],
}

pub(super) fn lsn(position: u8) -> Lsn {
    Lsn(u64::from(position))
}

pub(super) fn small(lsn: Lsn) -> u8 {
    u8::try_from(lsn.0).expect("a small world")
}

pub(super) fn stamp(from_replica: bool, position: u8) -> Stamp {
    if from_replica { Stamp::Replayed(lsn(position)) } else { Stamp::Flushed(lsn(position)) }
}

impl Node {
    pub(super) fn view(&self) -> View {
        View {
            generation: Generation(u64::from(self.generation)),
            floor: lsn(self.floor),
            watermark: lsn(self.watermark),
        }
    }

    pub(super) fn takes(&mut self, view: View) {
        self.generation = u8::try_from(view.generation.0).expect("a small world");
        self.floor = small(view.floor);
        self.watermark = small(view.watermark);
    }

    pub(super) fn drops_its_copy(&mut self) {
        (self.value, self.from_replica, self.position, self.shown) = (NONE, false, 0, 0);
    }
}

impl World {
    /// Up to here every commit is visible on the primary.
    pub(super) fn horizon(&self) -> u8 {
        let invisible = self.writers.iter().filter(|w| w.at == writer::WRITTEN).map(|w| w.lsn - 1);
        invisible.fold(self.flushed, u8::min)
    }
}
