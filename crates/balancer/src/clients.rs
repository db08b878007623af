//! What clients may do: how many connections, how many requests, and who is believed.

use crate::config::Config;
use crate::network::Network;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The limits of all clients, shared by all threads.
#[derive(Debug)]
pub(crate) struct Clients {
    connections: AtomicUsize,
    connections_max: usize,
    /// Connections by address; empty where that is not limited.
    by_address: Mutex<HashMap<IpAddr, usize>>,
    per_address_max: usize,
    rate: Option<DefaultKeyedRateLimiter<IpAddr>>,
    trusted: Vec<Network>,
}

/// A connection's place. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Admission {
    clients: Arc<Clients>,
    address: IpAddr,
}

impl Clients {
    pub(crate) fn new(config: &Config) -> Self {
        let rate = NonZeroU32::new(config.rate_limit_per_second).map(|per_second| {
            let burst = NonZeroU32::new(config.rate_limit_burst).unwrap_or(per_second);
            RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))
        });
        Self {
            connections: AtomicUsize::new(0),
            connections_max: config.client_connections_max,
            by_address: Mutex::default(),
            per_address_max: config.client_connections_per_address_max,
            rate,
            trusted: config.trusted_peers.clone(),
        }
    }

    /// Takes a place for a connection from `address`, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        let address = one_client(address);
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.connections_max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        if self.per_address_max > 0 {
            let mut by_address = self.by_address();
            let connections = by_address.entry(address).or_default();
            if *connections >= self.per_address_max {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            *connections += 1;
        }
        Some(Admission { clients: self.clone(), address })
    }

    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn limits_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Takes one request off what `address` may send, or answers after how many seconds it may again.
    pub(crate) fn admit_request(&self, address: IpAddr) -> Result<(), u64> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check_key(&one_client(address)).map_err(|denied| {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }

    /// Forgets clients that have not been seen for a while.
    pub(crate) fn sweep(&self) {
        if let Some(rate) = &self.rate {
            rate.retain_recent();
        }
    }

    /// Whether what a peer says of its own clients is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one address there
/// has them all.
fn one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.clients.connections.fetch_sub(1, Ordering::Relaxed);
        if self.clients.per_address_max == 0 {
            return;
        }
        let mut by_address = self.clients.by_address();
        if let Some(connections) = by_address.get_mut(&self.address) {
            *connections -= 1;
            if *connections == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(config: &Config) -> Arc<Clients> {
        Arc::new(Clients::new(config))
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let config =
            Config { client_connections_max: 3, client_connections_per_address_max: 2, ..Config::default() };
        let clients = clients(&config);
        let first = clients.admit(one).unwrap();
        let second = clients.admit(one).unwrap();
        assert!(clients.admit(one).is_none(), "two from one address");
        let third = clients.admit(other).unwrap();
        assert!(clients.admit(other).is_none(), "three in all");
        drop((first, second, third));
        assert_eq!(clients.connections(), 0);
        assert!(clients.admit(one).is_some());
    }

    #[test]
    fn a_client_over_its_rate_is_told_to_wait_and_others_are_not() {
        let config = Config { rate_limit_per_second: 1, rate_limit_burst: 2, ..Config::default() };
        let clients = clients(&config);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(clients.admit_request(one).is_ok() && clients.admit_request(one).is_ok());
        assert_eq!(clients.admit_request(one), Err(1));
        assert!(clients.admit_request("192.0.2.2".parse().unwrap()).is_ok());
        let of_one_network = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|a| a.parse().unwrap());
        let admitted = of_one_network.map(|address| clients.admit_request(address).is_ok());
        assert_eq!(admitted, [true, true, false]);
    }
}
