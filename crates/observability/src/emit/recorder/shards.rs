//! The shards of a recorder, and which of them is this thread's.

use super::block::Block;
use super::key::{Key, SHARDS_MAX};
use super::lines::Lines;
use super::part::Part;
use super::shard::{Bounds, Settled, Shard};
use crate::emit::keeper::Keeper;
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may wait to be sent, spans and log records each, in bytes.
const READY_BYTES_MAX: usize = 8 << 20;
/// Work that goes on for longer than this is sent as far as it has ended.
const LONG: Duration = Duration::from_secs(5);

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed));
}

#[derive(Debug)]
pub(in crate::emit) struct Shards(Box<[Mutex<Shard>]>);

impl Shards {
    /// One for each core, sharing the bytes of the ring.
    pub(super) fn new(ring_bytes_max: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX);
        let bounds =
            Bounds { ring_bytes_max: ring_bytes_max / cores, ready_bytes_max: READY_BYTES_MAX / cores };
        let first_generation = Key::first_generation();
        Self((0..cores).map(|_| Mutex::new(Shard::new(bounds, first_generation))).collect())
    }

    /// This thread's, with its number.
    pub(super) fn own(&self) -> (u8, MutexGuard<'_, Shard>) {
        let at = THREAD.get() % self.0.len();
        (u8::try_from(at).unwrap_or(0), lock(&self.0[at]))
    }

    /// That of a key.
    pub(super) fn of(&self, key: Key) -> Option<MutexGuard<'_, Shard>> {
        self.0.get(usize::from(key.shard)).map(lock)
    }

    /// Reads or changes the part of an open span.
    pub(super) fn with<R>(&self, key: Key, work: impl FnOnce(&mut Part) -> R) -> Option<R> {
        let mut shard = self.of(key)?;
        let part = shard.part(key)?;
        (usize::from(key.index) < part.spans.len()).then(|| work(part))
    }

    /// Makes ready what the keeper wants of the rings, and what has ended of work that goes on for long. Answers
    /// how many spans found no room.
    pub(in crate::emit) fn hand_over(&self, keeper: &Keeper, now: Instant) -> usize {
        let wanted: HashSet<_> = keeper.take_unsearched().into_iter().collect();
        let mut settled = Settled::default();
        for shard in &self.0 {
            let mut shard = lock(shard);
            if !wanted.is_empty() {
                let reason = |trace| wanted.contains(&trace).then(|| keeper.reason_of(trace)).flatten();
                settled.dropped_spans += shard.hand_over(reason).dropped_spans;
            }
            settled.dropped_spans += shard.split_open(|part| is_long(part, now)).dropped_spans;
        }
        settled.dropped_spans
    }

    /// Takes what is ready: a block of each shard that has some, with the shard's number.
    pub(in crate::emit) fn take(&self) -> (Vec<(usize, Block)>, Vec<Lines>) {
        let (mut blocks, mut lines) = (Vec::new(), Vec::new());
        for (number, shard) in self.0.iter().enumerate() {
            let mut shard = lock(shard);
            blocks.extend(shard.take_ready().map(|block| (number, block)));
            if shard.lines.len() > 0 {
                lines.push(shard.lines.take());
            }
        }
        (blocks, lines)
    }

    /// Gives back what was sent, for other parts.
    pub(in crate::emit) fn take_back(&self, blocks: Vec<(usize, Block)>) {
        for (number, block) in blocks {
            if let Some(shard) = self.0.get(number) {
                lock(shard).take_back(block);
            }
        }
    }
}

/// Whether a part's end may be far, though somebody waits for it: it is wanted, and its first span has ended or is
/// open for long.
fn is_long(part: &Part, now: Instant) -> bool {
    let Some(first) = part.spans.first() else { return false };
    let since = first.ended.unwrap_or(first.started);
    (part.is_sampled() || part.kept.is_some()) && now.saturating_duration_since(since) > LONG
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
