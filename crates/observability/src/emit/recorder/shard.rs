//! What one thread opens and closes lies in its shard, under a lock that it mostly has to itself: open parts, the
//! ring, and what is ready to be sent. Another thread comes by only for a span that moved there with its task.

use super::key::{Key, SLOTS_MAX};
use super::lines::Lines;
use super::part::{Kept, Part, SPARE_BYTES_MAX, Span};
use super::ring::Ring;
use crate::emit::fields::Fields;
use crate::emit::keeper::Keeper;

/// Cleared parts that wait for other work.
const SPARE_MAX: usize = 128;

/// Bounds of a shard, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) ring_bytes_max: usize,
    pub(super) ready_bytes_max: usize,
}

/// A share of a recorder's memory.
#[derive(Debug)]
pub(super) struct Shard {
    slots: Vec<Slot>,
    free: Vec<u32>,
    spare: Vec<Part>,
    ring: Ring,
    ready: Vec<Part>,
    ready_bytes: usize,
    pub(super) lines: Lines,
    bounds: Bounds,
    first_generation: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    part: Option<Part>,
}

/// What became of a part that ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// Spans that found no room among those to be sent.
    pub(super) dropped_spans: usize,
    /// Whether so much is ready that it should be fetched before its time.
    pub(super) is_full: bool,
}

impl Shard {
    pub(super) fn new(bounds: Bounds, first_generation: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            ring: Ring::new(bounds.ring_bytes_max),
            ready: Vec::new(),
            ready_bytes: 0,
            lines: Lines::new(bounds.ready_bytes_max),
            bounds,
            first_generation,
        }
    }

    /// Opens a part with its first span; `None` where too many are open.
    pub(super) fn begin(&mut self, span: Span, fields: &Fields, is_entry: bool) -> Option<(u32, u32)> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < SLOTS_MAX => {
                self.slots.push(Slot { generation: self.first_generation, part: None });
                u32::try_from(self.slots.len() - 1).ok()?
            }
            None => return None,
        };
        let mut part = self.spare.pop().unwrap_or_default();
        part.is_entry = is_entry;
        part.open(span, fields);
        let place = &mut self.slots[slot as usize];
        place.part = Some(part);
        Some((slot, place.generation))
    }

    /// The open part that a key names.
    pub(super) fn part(&mut self, key: Key) -> Option<&mut Part> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        slot.part.as_mut()
    }

    /// Frees the slot of a part whose spans have all ended, and puts the part where it belongs.
    pub(super) fn end(&mut self, key: Key, keeper: &Keeper) -> Settled {
        let slot = &mut self.slots[key.slot as usize];
        let Some(mut part) = slot.part.take() else { return Settled::default() };
        slot.generation = Key::next_generation(slot.generation);
        self.free.push(key.slot);
        if !keeper.is_exporting() {
            self.recycle(part);
            return Settled::default();
        }
        if part.spans.iter().any(|span| span.is_sent) {
            let rest = part.split_ended();
            self.recycle(part);
            return rest.map_or_else(Settled::default, |rest| self.make_ready(rest));
        }
        if part.kept.is_none() && !part.is_sampled() {
            part.kept = part.trace().and_then(|trace| keeper.reason_of(trace));
            if part.kept.is_none() {
                let (ring, spare) = (&mut self.ring, &mut self.spare);
                ring.push(part, |part| recycle(spare, part));
                return Settled::default();
            }
        }
        self.make_ready(part)
    }

    /// Moves from the ring to what is ready what belongs to traces that `reason` knows.
    pub(super) fn hand_over(&mut self, reason: impl Fn(onefold_core::TraceId) -> Option<Kept>) -> Settled {
        let mut settled = Settled::default();
        for part in self.ring.take(reason) {
            settled.dropped_spans += self.make_ready(part).dropped_spans;
        }
        settled
    }

    /// Makes ready what has ended of the open parts that `is_due` names: their first span is over, or they wait for
    /// too long.
    pub(super) fn split_open(&mut self, is_due: impl Fn(&Part) -> bool) -> Settled {
        let mut settled = Settled::default();
        let due = self.slots.iter_mut().filter_map(|slot| slot.part.as_mut()).filter(|part| is_due(part));
        let split: Vec<Part> = due.filter_map(Part::split_ended).collect();
        for part in split {
            settled.dropped_spans += self.make_ready(part).dropped_spans;
        }
        settled
    }

    /// Takes what is ready to be sent.
    pub(super) fn take_ready(&mut self) -> Vec<Part> {
        self.ready_bytes = 0;
        std::mem::take(&mut self.ready)
    }

    /// Takes back a part that was sent.
    pub(super) fn recycle(&mut self, part: Part) {
        recycle(&mut self.spare, part);
    }

    fn make_ready(&mut self, part: Part) -> Settled {
        let bytes = part.bytes();
        if self.ready_bytes + bytes > self.bounds.ready_bytes_max {
            let dropped_spans = part.spans.len();
            self.recycle(part);
            return Settled { dropped_spans, is_full: true };
        }
        self.ready_bytes += bytes;
        self.ready.push(part);
        Settled { dropped_spans: 0, is_full: self.ready_bytes > self.bounds.ready_bytes_max / 4 }
    }
}

fn recycle(spare: &mut Vec<Part>, mut part: Part) {
    if spare.len() < SPARE_MAX && part.bytes() <= SPARE_BYTES_MAX {
        part.clear();
        spare.push(part);
    }
}
