//! How many wrong tokens somebody may present: tokens cannot be guessed, and trying must cost something anyway.

use onefold_core::Clock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens in a row before the first wait.
const BURST: u32 = 10;
/// One more attempt comes back in this time.
const REFILL: Duration = Duration::from_secs(6);
/// Addresses remembered at once. When full, newcomers share one allowance.
const ADDRESSES_MAX: usize = 1024;

/// Counts wrong tokens by the sender's address; senders whose address is not known share one count.
#[derive(Debug)]
pub(crate) struct Attempts {
    clock: Clock,
    spent: Mutex<HashMap<Option<IpAddr>, Spent>>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    attempts: u32,
    since: Instant,
}

impl Attempts {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, spent: Mutex::default() }
    }

    /// Seconds that this sender has to wait before it may present a token, right or wrong.
    pub(crate) fn wait_s(&self, sender: Option<IpAddr>) -> Option<u64> {
        let now = self.clock.now();
        let spent = self.lock(|table| table.get(&sender_in(table, sender)).copied())?.at(now);
        (spent.attempts >= BURST).then(|| REFILL.saturating_sub(now - spent.since).as_secs() + 1)
    }

    /// Counts a wrong token.
    pub(crate) fn failed(&self, sender: Option<IpAddr>) {
        let now = self.clock.now();
        self.lock(|table| {
            if table.len() >= ADDRESSES_MAX {
                table.retain(|_, spent| spent.at(now).attempts > 0);
            }
            let spent = table.entry(sender_in(table, sender)).or_insert(Spent { attempts: 0, since: now });
            *spent = spent.at(now);
            spent.attempts += 1;
        });
    }

    fn lock<T>(&self, body: impl FnOnce(&mut HashMap<Option<IpAddr>, Spent>) -> T) -> T {
        body(&mut self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Spent {
    /// What is left of it by `now`.
    fn at(self, now: Instant) -> Self {
        let back = u32::try_from((now - self.since).as_millis() / REFILL.as_millis()).unwrap_or(u32::MAX);
        if back >= self.attempts {
            return Self { attempts: 0, since: now };
        }
        Self { attempts: self.attempts - back, since: self.since + REFILL * back }
    }
}

fn sender_in(table: &HashMap<Option<IpAddr>, Spent>, sender: Option<IpAddr>) -> Option<IpAddr> {
    sender.filter(|_| table.contains_key(&sender) || table.len() < ADDRESSES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn a_guesser_waits_and_others_do_not() {
        let clock = Clock::manual();
        let attempts = Attempts::new(clock.clone());
        for _ in 0..BURST {
            assert_eq!(attempts.wait_s(Some(address(1))), None);
            attempts.failed(Some(address(1)));
        }
        assert!(attempts.wait_s(Some(address(1))).is_some());
        assert_eq!(attempts.wait_s(Some(address(2))), None);
        clock.advance(REFILL);
        assert_eq!(attempts.wait_s(Some(address(1))), None);
        attempts.failed(Some(address(1)));
        assert!(attempts.wait_s(Some(address(1))).is_some());
    }

    #[test]
    fn the_table_is_bounded_and_a_flood_of_addresses_shares_one_allowance() {
        let attempts = Attempts::new(Clock::manual());
        for n in 0..5000 {
            attempts.failed(Some(address(n)));
        }
        assert!(attempts.lock(|table| table.len()) <= ADDRESSES_MAX + 1);
        assert!(attempts.wait_s(Some(address(9999))).is_some());
        assert_eq!(attempts.wait_s(Some(address(3))), None);
    }
}
