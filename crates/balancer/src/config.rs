//! The table `[balancer]`: every limit with its unit, its default and the reason for it.

mod parts;
mod validate;

use crate::network::Network;
use onefold_core::deadline::duration_text;
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
    /// Requests a second for each client (an IPv4 address, an IPv6 network of 64 bits); 0 (the default) for no limit.
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
