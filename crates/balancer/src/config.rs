//! The table `[balancer]`: every limit with its unit, its default and the reason for it.

use crate::endpoint::node::Settings;
use crate::endpoint::outlier;
use crate::endpoint::roster::Rules;
use crate::hygiene::{head, strict};
use crate::network::Network;
use crate::pool;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use onefold_core::{Clock, Zone};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// What a balancer may be told. Sizes are in bytes; durations are written as `"250ms"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it takes requests. Default `127.0.0.1:8080`: nothing is exposed by accident.
    pub listen: SocketAddr,
    /// Threads, each with a runtime, a listener and pools of its own. Default 0: one for each core.
    pub threads: usize,

    /// The largest request head. Default 32 KiB: four times what browsers send.
    pub header_bytes_max: usize,
    /// The most header lines. Default and most 100, which is what the parser behind it holds.
    pub header_lines_max: usize,
    /// How long a head may take from its first byte. Default 10 s, which bounds a slowloris.
    #[serde(with = "duration_text")]
    pub header_timeout: Duration,
    /// How long a kept connection may stay silent. Default 60 s, as browsers keep theirs.
    #[serde(with = "duration_text")]
    pub client_idle_timeout: Duration,
    /// How long a client may take nothing of what is written to it. Default 30 s.
    #[serde(with = "duration_text")]
    pub write_timeout: Duration,
    /// The largest request body. Default 16 MiB; more is a 413.
    pub body_bytes_max: u64,
    /// How long a request body may pause. Default 10 s.
    #[serde(with = "duration_text")]
    pub body_idle_timeout: Duration,
    /// The slowest body, once it has been waited for `body_idle_timeout`. Default 512 bytes/s: slower than any
    /// modem, faster than a client which drips to hold a connection.
    pub body_bytes_per_second_min: u64,

    /// Until the head of the response, retries included. Default 30 s; `onefold-timeout` shortens it.
    #[serde(with = "duration_text")]
    pub request_timeout: Duration,
    /// The whole exchange, both bodies included. Default 1 h: long enough for downloads and event streams.
    #[serde(with = "duration_text")]
    pub exchange_timeout: Duration,
    /// How long a response body may pause. Default 60 s: twice the usual heartbeat of event streams.
    #[serde(with = "duration_text")]
    pub response_idle_timeout: Duration,

    /// Client connections at once; beyond, 503. Default 10,000, at some 20 KiB each.
    pub client_connections_max: usize,
    /// Client connections at once from one address; 0 (the default) for no such limit, as many may share one.
    pub client_connections_per_address_max: usize,
    /// Requests a second for each client address; 0 (the default) for no limit.
    pub rate_limit_per_second: u32,
    /// Requests that a client may save up. Default 0: as many as one second brings.
    pub rate_limit_burst: u32,
    /// Peers whose `X-Forwarded-*` are believed: addresses or networks (`10.0.0.0/8`). Default none.
    pub trusted_peers: Vec<Network>,

    /// How long a connection to a node may take. Default 500 ms: nodes are near.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// Connections to one node, over all threads. Default 256: beyond that a node is faster with a queue.
    pub endpoint_connections_max: usize,
    /// Requests that wait for a connection to one node, over all threads. Default 256; beyond, 503.
    pub endpoint_queue_max: usize,
    /// How long a request waits for a connection. Default 1 s: later, the client is better told.
    #[serde(with = "duration_text")]
    pub queue_timeout: Duration,
    /// How long an unused connection to a node is kept. Default 15 s: it must stay below the node's keep-alive,
    /// so that no request meets a closing connection.
    #[serde(with = "duration_text")]
    pub endpoint_idle_timeout: Duration,

    /// Between two `/readyz` checks of a node. Default 1 s.
    #[serde(with = "duration_text")]
    pub check_interval: Duration,
    /// How long a check may take. Default 500 ms.
    #[serde(with = "duration_text")]
    pub check_timeout: Duration,
    /// Checks in a row without an answer until a node is out (a 503 counts at once). Default 2.
    pub check_failures: u32,
    /// Failed requests in a row until a node is ejected. Default 5.
    pub ejection_failures: u32,
    /// The length of the first ejection; the n-th takes n times as long. Default 30 s.
    #[serde(with = "duration_text")]
    pub ejection_base: Duration,
    /// The longest ejection. Default 5 min.
    #[serde(with = "duration_text")]
    pub ejection_max: Duration,
    /// How long a newcomer takes to its full share. Default 10 s: caches fill, code is paged in.
    #[serde(with = "duration_text")]
    pub slow_start: Duration,
    /// Below this percentage of healthy nodes health is ignored. Default 50.
    pub panic_below_percent: u8,
    /// Whether nodes of the balancer's own zone come first, until they are loaded. Default true.
    pub prefer_zone: bool,
    /// Fewer healthy nodes in the own zone end its preference. Default 1.
    pub zone_endpoints_min: usize,

    /// Retries as a share of the requests. Default 0.2: a retry storm stays a fifth.
    pub retry_share: f64,
    /// Retries a second beside that share, over all threads. Default 10: so that a quiet system retries too.
    pub retry_per_second: f64,
    /// Retries of one request. Default 2.
    pub retries_max: u8,
    /// The largest request body that is kept for a retry. Default 64 KiB.
    pub replay_bytes_max: usize,

    /// How long requests in flight may take once the balancer stops. Default 10 s.
    #[serde(with = "duration_text")]
    pub drain_timeout: Duration,
    /// Whether each request is one event of the log. Default true.
    pub access_log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            threads: 0,
            header_bytes_max: 32 << 10,
            header_lines_max: 100,
            header_timeout: Duration::from_secs(10),
            client_idle_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            body_bytes_max: 16 << 20,
            body_idle_timeout: Duration::from_secs(10),
            body_bytes_per_second_min: 512,
            request_timeout: Duration::from_secs(30),
            exchange_timeout: Duration::from_hours(1),
            response_idle_timeout: Duration::from_mins(1),
            client_connections_max: 10_000,
            client_connections_per_address_max: 0,
            rate_limit_per_second: 0,
            rate_limit_burst: 0,
            trusted_peers: Vec::new(),
            connect_timeout: Duration::from_millis(500),
            endpoint_connections_max: 256,
            endpoint_queue_max: 256,
            queue_timeout: Duration::from_secs(1),
            endpoint_idle_timeout: Duration::from_secs(15),
            check_interval: Duration::from_secs(1),
            check_timeout: Duration::from_millis(500),
            check_failures: 2,
            ejection_failures: 5,
            ejection_base: Duration::from_secs(30),
            ejection_max: Duration::from_mins(5),
            slow_start: Duration::from_secs(10),
            panic_below_percent: 50,
            prefer_zone: true,
            zone_endpoints_min: 1,
            retry_share: 0.2,
            retry_per_second: 10.0,
            retries_max: 2,
            replay_bytes_max: 64 << 10,
            drain_timeout: Duration::from_secs(10),
            access_log: true,
        }
    }
}

impl Config {
    /// All values that cannot work, by key.
    ///
    /// # Errors
    /// Every fault, never only the first.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Faults::default();
        self.validate_durations(&mut faults);
        self.validate_numbers(&mut faults);
        faults.into_result()
    }

    /// What endpoints are told, for so many threads.
    pub(crate) fn endpoint_settings(&self, clock: &Clock, threads: usize) -> Settings {
        Settings {
            origin: clock.now(),
            clock: clock.clone(),
            threads,
            pool: pool::Limits {
                connections_max: self.endpoint_connections_max.div_ceil(threads),
                queue_max: self.endpoint_queue_max.div_ceil(threads),
                idle_timeout: self.endpoint_idle_timeout,
            },
            outlier: outlier::Limits {
                failures: self.ejection_failures,
                base: self.ejection_base,
                max: self.ejection_max,
            },
            slow_start: self.slow_start,
        }
    }

    /// What bounds the streams of clients.
    pub(crate) fn stream_limits(&self) -> strict::Limits {
        strict::Limits {
            head: head::Limits { bytes_max: self.header_bytes_max, lines_max: self.header_lines_max },
            head_timeout: self.header_timeout,
            idle_timeout: self.client_idle_timeout,
            write_timeout: self.write_timeout,
            body_idle_timeout: self.body_idle_timeout,
            body_bytes_per_second_min: self.body_bytes_per_second_min,
        }
    }

    /// How endpoints are chosen by a balancer in `zone`.
    pub(crate) fn rules(&self, zone: &Zone) -> Rules {
        Rules {
            zone: self.prefer_zone.then(|| zone.clone()),
            zone_endpoints_min: self.zone_endpoints_min,
            panic_below_percent: usize::from(self.panic_below_percent),
        }
    }

    /// The number of threads to run.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    fn validate_durations(&self, faults: &mut Faults) {
        let positive = [
            ("header_timeout", self.header_timeout),
            ("client_idle_timeout", self.client_idle_timeout),
            ("write_timeout", self.write_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
            ("request_timeout", self.request_timeout),
            ("exchange_timeout", self.exchange_timeout),
            ("response_idle_timeout", self.response_idle_timeout),
            ("connect_timeout", self.connect_timeout),
            ("queue_timeout", self.queue_timeout),
            ("endpoint_idle_timeout", self.endpoint_idle_timeout),
            ("check_interval", self.check_interval),
            ("check_timeout", self.check_timeout),
            ("ejection_base", self.ejection_base),
        ];
        for (key, value) in positive {
            check(faults, !value.is_zero(), key, value.as_millis(), "write at least `1ms`");
        }
        let day = Duration::from_hours(24);
        for (key, value) in
            [("request_timeout", self.request_timeout), ("exchange_timeout", self.exchange_timeout)]
        {
            check(faults, value <= day, key, value.as_secs(), "write at most 24 hours");
        }
        let longer = "it must not be shorter than balancer.ejection_base";
        check(
            faults,
            self.ejection_max >= self.ejection_base,
            "ejection_max",
            self.ejection_max.as_secs(),
            longer,
        );
    }

    fn validate_numbers(&self, faults: &mut Faults) {
        const HEAD: std::ops::RangeInclusive<usize> = (1 << 10)..=(1 << 20);
        let bytes = self.header_bytes_max;
        check(faults, HEAD.contains(&bytes), "header_bytes_max", bytes, "write 1024 to 1048576");
        let lines = self.header_lines_max;
        check(faults, (1..=100).contains(&lines), "header_lines_max", lines, "write 1 to 100");
        check(
            faults,
            self.threads <= 1024,
            "threads",
            self.threads,
            "write at most 1024, or 0 for one per core",
        );
        for (key, value) in [
            ("client_connections_max", self.client_connections_max),
            ("endpoint_connections_max", self.endpoint_connections_max),
        ] {
            check(faults, value > 0, key, value, "write at least 1");
        }
        for (key, value) in
            [("ejection_failures", self.ejection_failures), ("check_failures", self.check_failures)]
        {
            check(faults, value > 0, key, value, "write at least 1");
        }
        let percent = self.panic_below_percent;
        check(faults, percent <= 100, "panic_below_percent", percent, "write 0 to 100");
        let share = self.retry_share;
        check(faults, (0.0..=1.0).contains(&share), "retry_share", share, "write 0 to 1");
        let drip = self.retry_per_second;
        check(faults, (0.0..=1e6).contains(&drip), "retry_per_second", drip, "write 0 to 1000000");
        let retries = self.retries_max;
        check(faults, retries <= 10, "retries_max", retries, "write 0 to 10");
    }
}

fn check(faults: &mut Faults, holds: bool, key: &str, value: impl std::fmt::Display, fix: &str) {
    if !holds {
        faults.0.push(Fault::new(format!("balancer.{key}"), format!("{value} does not fit"), fix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let config = Config {
            header_lines_max: 200,
            retry_share: f64::NAN,
            connect_timeout: Duration::ZERO,
            ..Config::default()
        };
        let Faults(faults) = config.validate().unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["balancer.connect_timeout", "balancer.header_lines_max", "balancer.retry_share"]);
    }
}
