//! The segments that readers see, in the order of arrival.

use super::Segment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Shared by the writer, which adds and removes, and all readers. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments(Arc<Mutex<Vec<Arc<Segment>>>>);

impl Segments {
    pub(crate) fn newest_first(&self) -> Vec<Arc<Segment>> {
        self.lock().iter().rev().cloned().collect()
    }

    /// Disk that they take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.bytes()).sum()
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
