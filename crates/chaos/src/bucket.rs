//! How many bytes may pass: credit that grows with time, up to a short burst.

use std::num::NonZeroU64;
use std::time::Duration;
use tokio::time::Instant;

/// What may pass at once after a rest: long enough for timers, short enough to be felt.
const BURST: Duration = Duration::from_millis(20);
const NANOS: u128 = 1_000_000_000;

/// The credit of one edge's way, in time; its connections share it.
#[derive(Debug)]
pub(crate) struct Bucket {
    credit: Duration,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self { credit: Duration::ZERO, at: now }
    }

    /// How many bytes may pass now, at least one; or when one may.
    pub(crate) fn allowance(&mut self, rate: NonZeroU64, now: Instant) -> Result<usize, Instant> {
        let one = price(1, rate);
        let earned = now.saturating_duration_since(self.at);
        self.credit = (self.credit + earned).min(BURST.max(one));
        self.at = now;
        if let Some(missing) = one.checked_sub(self.credit).filter(|missing| !missing.is_zero()) {
            return Err(now + missing);
        }
        let bytes = self.credit.as_nanos() * u128::from(rate.get()) / NANOS;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX).max(1))
    }

    /// So many have passed.
    pub(crate) fn spend(&mut self, bytes: usize, rate: NonZeroU64) {
        self.credit = self.credit.saturating_sub(price(bytes, rate));
    }
}

/// How long so many bytes take.
fn price(bytes: usize, rate: NonZeroU64) -> Duration {
    let nanos =
        (u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(NANOS)).div_ceil(u128::from(rate.get()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_passes_than_the_rate_and_one_burst(
            rate in 1_u64..10_000_000,
            steps in prop::collection::vec((0_u64..50_000, 1_usize..100_000), 1..60),
        ) {
            let rate = NonZeroU64::new(rate).unwrap();
            let start = onefold_core::Clock::manual().now();
            let (mut now, mut passed) = (Instant::from_std(start), 0_u128);
            let begun = now;
            let mut bucket = Bucket::new(now);
            for (wait_us, wanted) in steps {
                now += Duration::from_micros(wait_us);
                match bucket.allowance(rate, now) {
                    Ok(bytes) => {
                        let sent = bytes.min(wanted);
                        bucket.spend(sent, rate);
                        passed += sent as u128;
                    }
                    Err(later) => {
                        prop_assert!(later > now);
                        prop_assert!(bucket.allowance(rate, later).is_ok(), "what was told holds");
                        now = later;
                    }
                }
            }
            let time = (now - begun) + BURST + price(1, rate);
            prop_assert!(passed <= time.as_nanos() * u128::from(rate.get()) / NANOS + 1);
        }
    }
}
