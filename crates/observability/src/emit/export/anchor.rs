//! Wall time of moments that were read from the monotonic clock: spans measure by that, so that a clock that is set
//! while they run bends none of them.

use onefold_core::Clock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    at: Instant,
    unix_nanos: u64,
}

impl Anchor {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { at: clock.now(), unix_nanos: unix_nanos(clock.wall()) }
    }

    /// Nanoseconds since 1970 at a moment.
    pub(super) fn unix_nanos(self, moment: Instant) -> u64 {
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match self.at.checked_duration_since(moment) {
            Some(ago) => self.unix_nanos.saturating_sub(nanos(ago)),
            None => self.unix_nanos.saturating_add(nanos(moment.saturating_duration_since(self.at))),
        }
    }
}

/// Nanoseconds since 1970.
pub(super) fn unix_nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
