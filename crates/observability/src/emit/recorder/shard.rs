//! What one thread opens and closes lies in its shard, under a lock that it mostly has to itself: open parts, the
//! ring, and what is ready to be sent. Another thread comes by only for a span that moved there with its task.

use super::block::Block;
use super::key::{Key, SLOTS_MAX};
use super::lines::Lines;
use super::part::Part;
use super::ring::Ring;
use super::view::{Kept, Span, View};
use crate::emit::keeper::Keeper;
use onefold_core::{TraceContext, TraceId};

/// Cleared parts that wait for other work.
const SPARE_MAX: usize = 128;
/// What a block that was sent may hold on to, in bytes.
const SPARE_BLOCK_BYTES_MAX: usize = 1 << 20;

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
    ready: Block,
    /// For what becomes ready after that.
    spare_block: Block,
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
            ready: Block::default(),
            spare_block: Block::default(),
            lines: Lines::new(bounds.ready_bytes_max),
            bounds,
            first_generation,
        }
    }

    /// Opens a part with its first span; `None` where too many are open.
    pub(super) fn begin(
        &mut self,
        context: TraceContext,
        span: Span,
        packed: &[u8],
        is_entry: bool,
    ) -> Option<(u32, u32)> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < SLOTS_MAX => {
                self.slots.push(Slot { generation: self.first_generation, part: None });
                u32::try_from(self.slots.len() - 1).ok()?
            }
            None => return None,
        };
        let mut part = self.spare.pop().unwrap_or_default();
        part.begin(context, is_entry);
        part.open(span, packed);
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
        let settled = if keeper.is_exporting() { self.put(&mut part, keeper) } else { Settled::default() };
        self.recycle(part);
        settled
    }

    /// Copies a part that has ended to where it belongs.
    fn put(&mut self, part: &mut Part, keeper: &Keeper) -> Settled {
        let Some(trace) = part.trace() else { return Settled::default() };
        if part.is_split {
            let rest = part.split_ended();
            return rest
                .as_ref()
                .and_then(Part::view)
                .map_or_else(Settled::default, |rest| self.make_ready(rest));
        }
        let is_sampled = part.is_sampled();
        part.kept = part.kept.or_else(|| keeper.reason_of(trace).filter(|_| !is_sampled));
        match part.view() {
            Some(view) if is_sampled || view.kept.is_some() => self.make_ready(view),
            Some(view) => {
                self.ring.push(view);
                Settled::default()
            }
            None => Settled::default(),
        }
    }

    /// Moves from the ring to what is ready what belongs to traces that `reason` knows.
    pub(super) fn hand_over(&mut self, reason: impl Fn(TraceId) -> Option<Kept>) -> Settled {
        let Self { ring, ready, bounds, .. } = self;
        let mut settled = Settled::default();
        ring.take(reason, |part| settled.dropped_spans += make_ready(ready, *bounds, part).dropped_spans);
        settled
    }

    /// Makes ready what has ended of the open parts that `is_due` names: their first span is over, or they wait for
    /// too long.
    pub(super) fn split_open(&mut self, is_due: impl Fn(&Part) -> bool) -> Settled {
        let Self { slots, ready, bounds, .. } = self;
        let mut settled = Settled::default();
        let due = slots.iter_mut().filter_map(|slot| slot.part.as_mut()).filter(|part| is_due(part));
        for split in due.filter_map(Part::split_ended) {
            let made = split.view().map(|part| make_ready(ready, *bounds, part));
            settled.dropped_spans += made.unwrap_or_default().dropped_spans;
        }
        settled
    }

    /// Takes what is ready to be sent, if there is anything.
    pub(super) fn take_ready(&mut self) -> Option<Block> {
        if self.ready.is_empty() {
            return None;
        }
        let fresh = std::mem::take(&mut self.spare_block);
        Some(std::mem::replace(&mut self.ready, fresh))
    }

    /// Takes back a block that was sent.
    pub(super) fn take_back(&mut self, mut block: Block) {
        if block.held_bytes() <= SPARE_BLOCK_BYTES_MAX {
            block.clear();
            self.spare_block = block;
        }
    }

    fn make_ready(&mut self, part: View<'_>) -> Settled {
        make_ready(&mut self.ready, self.bounds, part)
    }

    fn recycle(&mut self, mut part: Part) {
        if self.spare.len() < SPARE_MAX && part.clear() {
            self.spare.push(part);
        }
    }
}

fn make_ready(ready: &mut Block, bounds: Bounds, part: View<'_>) -> Settled {
    if ready.bytes() + Block::cost(part) > bounds.ready_bytes_max {
        return Settled { dropped_spans: part.spans.len(), is_full: true };
    }
    ready.push(part);
    Settled { dropped_spans: 0, is_full: ready.bytes() > bounds.ready_bytes_max / 4 }
}
