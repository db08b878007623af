//! The segments that readers see, in the order of arrival.

use super::{Error, Segment};
use crate::collect::ledger;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Shared by the writer, which adds and removes, and all readers. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: Mutex<Vec<Arc<Segment>>>,
    /// The signal's bytes on disk that lie in no segment.
    beside_bytes: AtomicU64,
}

impl Segments {
    pub(crate) fn newest_first(&self) -> Vec<Arc<Segment>> {
        self.lock().iter().rev().cloned().collect()
    }

    /// Disk that the signal takes, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let inside: u64 = self.lock().iter().map(|segment| segment.bytes()).sum();
        inside + self.0.beside_bytes.load(Ordering::Relaxed)
    }

    /// What the signal has on disk beside its segments: it counts towards the bounds.
    pub(crate) fn set_beside(&self, bytes: u64) {
        self.0.beside_bytes.store(bytes, Ordering::Relaxed);
    }

    /// How many items of an epoch the youngest segment that knows it has told of.
    ///
    /// # Errors
    /// [`Error::Engine`], where a segment cannot be read.
    pub(crate) fn tallied(&self, epoch: u64) -> Result<u64, Error> {
        for segment in self.newest_first() {
            if let Some(stored) = segment.read(|connection| ledger::tallied(connection, epoch))? {
                return Ok(stored);
            }
        }
        Ok(0)
    }

    /// Items that they keep.
    pub(crate) fn count(&self) -> u64 {
        self.lock().iter().map(|segment| segment.count()).sum()
    }

    /// When the oldest began.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        self.lock().first().map(|segment| segment.started())
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        self.lock().push(segment);
    }

    pub(super) fn remove(&self, gone: &Arc<Segment>) {
        self.lock().retain(|segment| !Arc::ptr_eq(segment, gone));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Segment>>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
