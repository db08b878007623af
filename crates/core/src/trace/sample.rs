//! The decision at the root of a trace: whether it is recorded in full.
//!
//! It is the process's own, like the subscriber that it belongs to; whoever continues a trace honours what its
//! `traceparent` says instead.

use std::sync::atomic::{AtomicU64, Ordering};

/// A trace is sampled if the lower half of its id is at most this. Until a recorder says otherwise, all are.
static THRESHOLD: AtomicU64 = AtomicU64::new(u64::MAX);

/// Records this share of the traces that begin in this process, between 0 and 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of the range of ids need not be exact"
)]
pub fn set_sampled_share(share: f64) {
    THRESHOLD.store((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64, Ordering::Relaxed);
}

/// Decides on an id whose lower half is `half`, which is never zero.
pub(super) fn is_sampled(half: u64) -> bool {
    half <= THRESHOLD.load(Ordering::Relaxed)
}
