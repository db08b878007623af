//! When to try again: how long to wait, and how many tries the system can bear.

use rand::{Rng, RngExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Exponential backoff with full jitter: a delay is drawn from zero to `base · 2^attempt`, at most `cap`.
///
/// Full jitter spreads a crowd of retries best (Brooker, "Exponential Backoff and Jitter", AWS 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The upper bound of the first delay.
    pub base: Duration,
    /// The upper bound of every delay.
    pub cap: Duration,
}

impl Backoff {
    /// The upper bound of the delay before attempt `attempt + 1`, where the first attempt is 0.
    pub fn bound(self, attempt: u32) -> Duration {
        self.base.saturating_mul(2_u32.saturating_pow(attempt.min(30))).min(self.cap)
    }

    /// A delay drawn under [`Backoff::bound`].
    pub fn delay(self, attempt: u32, chance: &mut impl Rng) -> Duration {
        self.bound(attempt).mul_f64(chance.random::<f64>())
    }
}

/// A budget that keeps retries a bounded share of the traffic (as in Finagle and linkerd): each call deposits
/// `share` of a try, `per_second` tries drip in, and each retry withdraws one.
#[derive(Debug)]
pub struct RetryBudget {
    share: f64,
    per_second: f64,
    balance: Mutex<(f64, Instant)>,
    /// The calls that [`RetryBudget::withdraw_of`] has counted in.
    calls: AtomicU64,
}

/// What a budget may hold, in seconds of its drip: a quiet night must not buy a storm.
const BUDGET_SECONDS_MAX: f64 = 10.0;

impl RetryBudget {
    /// A budget of `share` of the calls plus `per_second` tries a second, which starts with one second's drip.
    pub fn new(share: f64, per_second: f64, now: Instant) -> Self {
        Self { share, per_second, balance: Mutex::new((per_second, now)), calls: AtomicU64::new(0) }
    }

    /// Counts a first try.
    pub fn deposit(&self, now: Instant) {
        self.with(now, |balance| *balance += self.share);
    }

    /// Takes one retry out, if there is one.
    pub fn withdraw(&self, now: Instant) -> bool {
        self.with(now, |balance| {
            let granted = *balance >= 1.0;
            if granted {
                *balance -= 1.0;
            }
            granted
        })
    }

    /// Takes one retry out, after so many calls in all: for a client that counts them anyway, and whose calls then need not
    /// touch the budget.
    pub fn withdraw_of(&self, calls: u64, now: Instant) -> bool {
        let new = calls.saturating_sub(self.calls.fetch_max(calls, Ordering::Relaxed));
        let new = u32::try_from(new).map_or(f64::MAX, f64::from);
        self.with(now, |balance| *balance += new * self.share);
        self.withdraw(now)
    }

    fn with<T>(&self, now: Instant, act: impl FnOnce(&mut f64) -> T) -> T {
        let mut guard = self.balance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (balance, last) = &mut *guard;
        let elapsed = now.saturating_duration_since(*last).as_secs_f64();
        *last = now.max(*last);
        *balance += elapsed * self.per_second;
        let out = act(balance);
        *balance = balance.min((self.per_second * BUDGET_SECONDS_MAX).max(1.0));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_cap_and_never_overflows() {
        let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(5) };
        assert_eq!(backoff.bound(0), Duration::from_millis(100));
        assert_eq!(backoff.bound(3), Duration::from_millis(800));
        assert_eq!(backoff.bound(u32::MAX), Duration::from_secs(5));
        assert!(backoff.delay(3, &mut rand::rng()) <= Duration::from_millis(800));
    }

    #[test]
    fn retries_are_a_bounded_share_of_the_calls() {
        let now = crate::Clock::manual().now();
        let budget = RetryBudget::new(0.2, 0.0, now);
        for _ in 0..5 {
            budget.deposit(now);
        }
        assert!(budget.withdraw(now), "five calls at a fifth each buy one retry");
        assert!(!budget.withdraw(now));
    }

    #[test]
    fn calls_that_are_counted_elsewhere_buy_the_same() {
        let now = crate::Clock::manual().now();
        let budget = RetryBudget::new(0.2, 0.0, now);
        assert!(!budget.withdraw_of(4, now));
        assert!(budget.withdraw_of(5, now) && !budget.withdraw_of(5, now));
        assert!(!budget.withdraw_of(3, now), "an older count adds nothing");
    }

    #[test]
    fn a_quiet_night_buys_no_storm() {
        let now = crate::Clock::manual().now();
        let budget = RetryBudget::new(0.2, 10.0, now);
        let morning = now + Duration::from_hours(8);
        let granted = (0..1000).filter(|_| budget.withdraw(morning)).count();
        assert!(granted <= 101, "{granted}");
    }
}
