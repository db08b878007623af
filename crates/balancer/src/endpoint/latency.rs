//! Peak-EWMA: a moving average of latency that rises at once and falls slowly (Finagle's `PeakEwma`, linkerd).
//!
//! The average and the time of its last change share one atomic word, so that threads may race: a lost sample is
//! only a sample, but a value never meets another's time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The weight of a sample falls to 1/e in this time.
pub(crate) const DECAY: Duration = Duration::from_secs(10);

/// What a node is taken for until it has answered, where nothing better is known; linkerd starts alike.
const FIRST_GUESS: Duration = Duration::from_millis(30);

/// What a newcomer is taken for: as fast as its peers are on average. At 30 ms among peers at 1 ms it would see no
/// request until its guess had faded, half a minute later; the slow start keeps it from being flooded.
pub(crate) fn first_guess(peers: impl Iterator<Item = Duration>) -> Duration {
    let (sum, count) = peers.fold((Duration::ZERO, 0), |(sum, count), peer| (sum + peer, count + 1));
    if count == 0 { FIRST_GUESS } else { FIRST_GUESS.min(sum / count) }
}

/// Milliseconds since the balancer began; they wrap after 49 days, which only differences see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u32);

impl Moment {
    pub(crate) fn of(elapsed: Duration) -> Self {
        Self(u32::try_from(elapsed.as_millis() & u128::from(u32::MAX)).unwrap_or(0))
    }

    /// The time since `earlier`; zero where another thread's clock reading was ahead of ours.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let difference = self.0.wrapping_sub(earlier.0);
        if difference > u32::MAX / 2 { Duration::ZERO } else { Duration::from_millis(u64::from(difference)) }
    }
}

/// An average as of a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) seconds: f32,
    pub(crate) at: Moment,
}

impl Estimate {
    /// The average after one more sample.
    pub(crate) fn with(self, sample: Duration, now: Moment) -> Self {
        let sample = sample.as_secs_f32();
        if sample >= self.seconds {
            return Self { seconds: sample, at: now };
        }
        let kept = kept_after(now.since(self.at));
        Self { seconds: self.seconds * kept + sample * (1.0 - kept), at: now }
    }

    /// What it is worth now: without samples it fades, so that a node which was slow once is tried again.
    pub(crate) fn faded(self, now: Moment) -> f32 {
        self.seconds * kept_after(now.since(self.at))
    }

    fn packed(self) -> u64 {
        u64::from(self.seconds.to_bits()) << 32 | u64::from(self.at.0)
    }

    fn unpacked(word: u64) -> Self {
        let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
        Self { seconds: f32::from_bits(half(word >> 32)), at: Moment(half(word)) }
    }
}

fn kept_after(elapsed: Duration) -> f32 {
    (-elapsed.as_secs_f32() / DECAY.as_secs_f32()).exp()
}

/// The latency of one node, shared by all threads.
#[derive(Debug)]
pub(crate) struct Latency(AtomicU64);

impl Latency {
    pub(crate) fn new(guess: Duration, now: Moment) -> Self {
        Self(AtomicU64::new(Estimate { seconds: guess.as_secs_f32(), at: now }.packed()))
    }

    pub(crate) fn observe(&self, sample: Duration, now: Moment) {
        self.0.store(self.load().with(sample, now).packed(), Ordering::Relaxed);
    }

    /// Notes that an answer took at least that long: it can only make things worse.
    pub(crate) fn observe_at_least(&self, elapsed: Duration, now: Moment) {
        if elapsed.as_secs_f32() > self.load().faded(now) {
            self.observe(elapsed, now);
        }
    }

    pub(crate) fn seconds(&self, now: Moment) -> f32 {
        self.load().faded(now)
    }

    fn load(&self) -> Estimate {
        Estimate::unpacked(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_rises_at_once_and_falls_by_its_decay() {
        let start = Moment(0);
        let slow = Estimate { seconds: 0.001, at: start }.with(Duration::from_secs(1), start);
        assert!((slow.seconds - 1.0).abs() < 1e-6);
        let later = Moment(10_000);
        let after = slow.with(Duration::ZERO, later);
        assert!((after.seconds - 0.367_88).abs() < 1e-3, "{after:?}");
        assert!((slow.faded(later) - after.seconds).abs() < 1e-6);
    }

    #[test]
    fn a_newcomer_is_taken_for_its_peers_but_never_for_slow() {
        let of = |peers: &[u64]| first_guess(peers.iter().map(|ms| Duration::from_millis(*ms)));
        assert_eq!(of(&[]), Duration::from_millis(30));
        assert_eq!(of(&[2, 4]), Duration::from_millis(3));
        assert_eq!(of(&[1000, 3]), Duration::from_millis(30));
    }

    #[test]
    fn a_moment_behind_ours_is_no_time_ago() {
        assert_eq!(Moment(5).since(Moment(9)), Duration::ZERO);
        assert_eq!(Moment(3).since(Moment(u32::MAX - 1)), Duration::from_millis(5));
    }

    proptest! {
        #[test]
        fn the_average_stays_between_its_samples(samples in proptest::collection::vec((1_u64..5_000, 0_u32..60_000), 1..40)) {
            let mut now = 0;
            let mut estimate = Estimate { seconds: 0.030, at: Moment(0) };
            let highest = samples.iter().map(|(ms, _)| *ms).max().unwrap().max(30);
            for (ms, step) in samples {
                now += step;
                estimate = estimate.with(Duration::from_millis(ms), Moment(now));
                prop_assert!(estimate.seconds <= Duration::from_millis(highest).as_secs_f32() * 1.001);
                prop_assert!(estimate.seconds >= Duration::from_millis(ms).as_secs_f32().min(0.001));
                prop_assert_eq!(Estimate::unpacked(estimate.packed()), estimate);
            }
        }
    }
}
