//! What is kept of a signal, and within which bounds.

use super::json::time_text;
use super::segment::{Bounds, Segments};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// One signal, as `/api/retention` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Retention {
    /// `spans`, `logs`, `samples`.
    pub signal: &'static str,
    /// Disk that it takes now.
    pub bytes: u64,
    /// Disk that it may take.
    pub bytes_max: u64,
    /// Seconds after which it is deleted at the latest.
    pub age_max_s: u64,
    /// When the oldest came, in RFC 3339; none if nothing is kept.
    pub oldest: Option<String>,
    /// Items that are kept.
    pub count: u64,
    /// Items that were refused since the start, because the store was behind; their senders were told.
    pub dropped: u64,
    /// Items that had been acknowledged and were lost, since the store was made: with a process that died before it
    /// had stored them, or because the disk refused them.
    pub lost: u64,
}

impl Retention {
    pub(crate) fn of(
        signal: &'static str,
        segments: &Segments,
        bounds: Bounds,
        (dropped, lost): (u64, u64),
    ) -> Self {
        Self {
            signal,
            bytes: segments.bytes(),
            bytes_max: bounds.bytes_max,
            age_max_s: bounds.age_max.as_secs(),
            oldest: segments.oldest().map(|oldest| time_text(nanos(oldest))),
            count: segments.count(),
            dropped,
            lost,
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
