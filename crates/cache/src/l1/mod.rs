//! The level within the node: entries bounded by weight, a generation and a floor for each bucket, the watermark.
//!
//! A copy is put in, and dropped by an invalidation, under its bucket's lock: so a copy is in only if nothing in its
//! bucket was invalidated since its load began. Looking up takes no lock of ours.

mod entry;

pub(crate) use entry::{AnyValue, Entry};

use crate::decision::{self, Generation, View};
use crate::key::{BUCKETS, CacheKey};
use onefold_core::Lsn;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an entry of average size is guessed to weigh, to size the table.
const ENTRY_BYTES_GUESSED: u64 = 256;

/// The entries of one node.
pub(crate) struct L1 {
    entries: Cache<Arc<str>, Arc<Entry>, Bytes>,
    buckets: Box<[Mutex<Bucket>]>,
    watermark: AtomicU64,
    open: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    generation: Generation,
    floor: Lsn,
}

/// What a bucket was like before a load, or a look into L2, began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) generation: Generation,
    pub(crate) floor: Lsn,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Arc<str>, Arc<Entry>> for Bytes {
    fn weight(&self, key: &Arc<str>, entry: &Arc<Entry>) -> u64 {
        key.len() as u64 + entry.bytes()
    }
}

impl std::fmt::Debug for L1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("L1").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl L1 {
    /// An empty level that serves nothing until [`L1::resync`].
    pub(crate) fn new(bytes_max: u64) -> Self {
        let entries = usize::try_from(bytes_max / ENTRY_BYTES_GUESSED).unwrap_or(usize::MAX >> 8).max(16);
        Self {
            entries: Cache::with_weighter(entries, bytes_max, Bytes),
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            watermark: AtomicU64::new(0),
            open: AtomicBool::new(false),
        }
    }

    /// Every invalidation up to here has been applied. To be read *before* [`L1::get`].
    pub(crate) fn watermark(&self) -> Lsn {
        Lsn(self.watermark.load(Ordering::Acquire))
    }

    /// The entry, fresh or not.
    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        if !self.open.load(Ordering::Acquire) {
            return None;
        }
        self.entries.get(key.text())
    }

    /// To be called before a load or a look into L2.
    pub(crate) fn begin(&self, key: &CacheKey) -> Begun {
        let bucket = self.bucket(key.bucket());
        Begun { generation: bucket.generation, floor: bucket.floor }
    }

    /// Puts a value in, unless something in its bucket was invalidated since `begun`. Answers whether it did.
    pub(crate) fn insert(&self, key: &CacheKey, entry: Entry, begun: Begun) -> bool {
        let bucket = self.bucket(key.bucket());
        let admitted = decision::l1_admits(begun.generation, bucket.generation);
        if admitted {
            self.entries.insert(Arc::clone(key.shared_text()), Arc::new(entry));
        }
        admitted
    }

    /// An invalidation of which the writer or the bus has told.
    pub(crate) fn hear(&self, key: &CacheKey, at: Lsn) {
        self.invalidate(key, |view| decision::heard(view, at));
    }

    /// Invalidations that the tail has passed; `flushed` covers their commits.
    pub(crate) fn apply_tail(&self, keys: &[CacheKey], flushed: Lsn) {
        for key in keys {
            self.invalidate(key, |view| decision::tailed(view, flushed));
        }
    }

    /// Notes that all invalidations up to here have been applied; zero where that is not known any more.
    pub(crate) fn set_watermark(&self, watermark: Lsn) {
        self.watermark.store(watermark.0, Ordering::Release);
    }

    /// Serves nothing until [`L1::resync`].
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Begins anew, empty: `flushed` is the primary's position since the subscription stands.
    pub(crate) fn resync(&self, flushed: Lsn) {
        self.raise_floors(flushed);
        self.open.store(true, Ordering::Release);
    }

    /// Drops everything that is in or on its way; every load must have seen `flushed` from now on.
    pub(crate) fn raise_floors(&self, flushed: Lsn) {
        self.change_all(|view| decision::resynced(view, flushed));
    }

    /// Drops everything that is in or on its way.
    pub(crate) fn forget(&self) {
        self.change_all(|view| decision::heard(view, view.floor));
    }

    /// Whether it serves.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn change_all(&self, change: impl Fn(View) -> View) {
        for bucket in &self.buckets {
            lock(bucket).change(self.watermark(), &change);
        }
        self.entries.clear();
    }

    fn invalidate(&self, key: &CacheKey, change: impl FnOnce(View) -> View) {
        let mut bucket = self.bucket(key.bucket());
        bucket.change(self.watermark(), change);
        let dropped = self.entries.peek(key.text()).and_then(|entry| entry.invalidated());
        match dropped {
            Some(stale) => self.entries.insert(Arc::clone(key.shared_text()), Arc::new(stale)),
            None => {
                self.entries.remove(key.text());
            }
        }
    }

    fn bucket(&self, bucket: u16) -> MutexGuard<'_, Bucket> {
        lock(&self.buckets[usize::from(bucket)])
    }
}

impl Bucket {
    /// Of the view, generation and floor are the bucket's; the watermark is the tail's alone to raise.
    fn change(&mut self, watermark: Lsn, change: impl FnOnce(View) -> View) {
        let view = change(View { generation: self.generation, floor: self.floor, watermark });
        (self.generation, self.floor) = (view.generation, view.floor);
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;
    use onefold_database::{Evidence, Position, Stamp};
    use std::time::Duration;

    fn opened() -> L1 {
        let l1 = L1::new(1 << 20);
        l1.resync(Lsn(10));
        l1
    }

    fn entry(value: u32, keep_stale: Duration) -> Entry {
        let now = Clock::system().now();
        Entry {
            value: Arc::new(Some(value)),
            payload_bytes: 4,
            evidence: Evidence {
                stamp: Stamp::Replayed(Lsn(10)),
                shown: Position { timeline: 1, lsn: Lsn(10) },
            },
            vouched: true,
            negative: false,
            valid: true,
            fresh_until: now + Duration::from_secs(5),
            expires_at: now + Duration::from_secs(5),
            keep_stale,
        }
    }

    #[test]
    fn a_load_that_began_before_an_invalidation_stays_out() {
        let l1 = opened();
        let key = CacheKey::new("space", "a");
        let begun = l1.begin(&key);
        l1.hear(&key, Lsn(20));
        assert!(!l1.insert(&key, entry(1, Duration::ZERO), begun));
        assert!(l1.get(&key).is_none());
        assert_eq!(l1.begin(&key).floor, Lsn(20));
        assert!(l1.insert(&key, entry(2, Duration::ZERO), l1.begin(&key)));
        assert!(l1.get(&key).is_some());
    }

    #[test]
    fn a_gap_empties_it_and_closes_it_until_it_is_in_step_again() {
        let l1 = opened();
        let key = CacheKey::new("space", "a");
        let begun = l1.begin(&key);
        assert!(l1.insert(&key, entry(1, Duration::ZERO), begun));
        l1.close();
        assert!(l1.get(&key).is_none());
        l1.resync(Lsn(30));
        assert!(l1.get(&key).is_none(), "emptied");
        assert!(!l1.insert(&key, entry(1, Duration::ZERO), begun), "what was on its way stays out");
        assert_eq!(l1.begin(&key).floor, Lsn(30));
    }

    #[test]
    fn an_invalidated_copy_is_kept_only_where_stale_ones_are_of_use() {
        let l1 = opened();
        let key = CacheKey::new("space", "a");
        l1.insert(&key, entry(1, Duration::from_secs(1)), l1.begin(&key));
        l1.hear(&key, Lsn(20));
        assert!(l1.get(&key).is_some_and(|entry| !entry.valid));
    }
}
