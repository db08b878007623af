//! How fast a request body comes: a client which drips bytes holds a connection and a node for nothing.

use std::time::Duration;

/// The bytes of a body, and the time it was waited for. Time in which nobody wanted the body does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) bytes: u64,
    pub(crate) waited: Duration,
}

impl Pace {
    /// How much longer the body may be waited for: `grace` in any case, then as long as it has kept up
    /// `bytes_per_second` in total, and never longer than `grace` at a stretch.
    pub(crate) fn allowance(self, bytes_per_second: u64, grace: Duration) -> Duration {
        let earned = match bytes_per_second {
            0 => Duration::MAX,
            rate => Duration::from_millis(self.bytes.saturating_mul(1000) / rate),
        };
        earned.max(grace).saturating_sub(self.waited).min(grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn a_drip_is_cut_off_and_a_slow_upload_is_not() {
        let drip = Pace { bytes: 40, waited: Duration::from_secs(10) };
        assert_eq!(drip.allowance(512, GRACE), Duration::ZERO);
        let slow = Pace { bytes: 512 * 60, waited: Duration::from_secs(55) };
        assert_eq!(slow.allowance(512, GRACE), Duration::from_secs(5));
        assert_eq!(Pace::default().allowance(512, GRACE), GRACE);
        assert_eq!(drip.allowance(0, GRACE), GRACE);
    }
}
