//! Metrics as the nodes of a system send them: 20 nodes with 100 series each, a point of each every five seconds.

mod otlp;
mod remote;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const INTERVAL_MS: i64 = 5000;
const NODES: usize = 20;
/// Nodes whose points go in one request: 500 samples, as many as Prometheus' own sender puts into one.
const NODES_A_REQUEST: usize = 5;
const SERIES_A_NODE: usize =
    ROUTES.len() * (BOUNDS.len() + 3) + STATEMENTS.len() * SERVERS.len() + GAUGES.len();
pub(crate) const SERIES: usize = NODES * SERIES_A_NODE;

const ROUTES: [&str; 5] = ["/links", "/links/{code}", "/{code}", "/links/{code}/stats", "/healthz"];
const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const STATEMENTS: [&str; 5] = ["select", "insert", "update", "delete", "commit"];
const SERVERS: [&str; 3] = ["postgres-1", "postgres-2", "postgres-3"];
/// Names as OpenTelemetry has them, with their units.
const GAUGES: [(&str, &str); 5] = [
    ("process.memory.usage", "By"),
    ("process.open_file_descriptor.count", ""),
    ("onefold.cache.entries", ""),
    ("onefold.queue.depth", ""),
    ("onefold.replica.lag", "s"),
];

/// All nodes at one time.
pub(crate) struct Fleet {
    random: StdRng,
    nodes: Vec<Node>,
    at_ms: i64,
}

struct Node {
    name: String,
    zone: &'static str,
    /// No two nodes look at their metrics in the same moment.
    offset_ms: i64,
    routes: [Distribution; ROUTES.len()],
    /// By server, then by statement.
    statements: [u64; STATEMENTS.len() * SERVERS.len()],
    gauges: [f64; GAUGES.len()],
}

#[derive(Clone, Copy, Default)]
struct Distribution {
    /// The last is of what lies above all bounds.
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

/// The times of a run: whole minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) begin_ms: i64,
    pub(crate) end_ms: i64,
}

impl Span {
    /// So many hours that end now.
    pub(crate) fn of_hours(hours: i64) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
        let end_ms = i64::try_from(now.as_millis()).context("read the clock")? / 60_000 * 60_000;
        Ok(Self { begin_ms: end_ms - hours * 3_600_000, end_ms })
    }

    pub(crate) fn rounds(self) -> usize {
        usize::try_from((self.end_ms - self.begin_ms) / INTERVAL_MS).unwrap_or(0)
    }
}

impl Fleet {
    pub(crate) fn new(seed: u64, begin_ms: i64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let node = |number: usize| Node {
            name: format!("app-{number:02}"),
            zone: ["a", "b", "c"][number % 3],
            // Below the interval, and never a whole second: no sample lies at the edge of a window.
            offset_ms: i64::try_from(number).unwrap_or(0) * 213 + 7,
            routes: [Distribution::default(); ROUTES.len()],
            // A counter that is older than the run.
            statements: std::array::from_fn(|_| random.random_range(1_000_000..10_000_000)),
            gauges: std::array::from_fn(|_| random.random_range(0.0..1e6)),
        };
        let nodes = (0..NODES).map(node).collect();
        let mut fleet = Self { random, nodes, at_ms: begin_ms };
        for node in &mut fleet.nodes {
            for distribution in &mut node.routes {
                distribution.counts = std::array::from_fn(|_| fleet.random.random_range(1000..1_000_000));
                distribution.sum = fleet.random.random_range(1e3..1e5);
            }
        }
        fleet
    }

    /// Five seconds pass.
    pub(crate) fn advance(&mut self) {
        self.at_ms += INTERVAL_MS;
        let random = &mut self.random;
        for node in &mut self.nodes {
            for distribution in &mut node.routes {
                // Most requests take about the same time.
                let usual = random.random_range(2..6);
                for (place, count) in distribution.counts.iter_mut().enumerate() {
                    let most = if place.abs_diff(usual) < 3 { 200 } else { 2 };
                    *count += random.random_range(0..most);
                }
                distribution.sum += random.random_range(0.5..2.0);
            }
            for count in &mut node.statements {
                *count += random.random_range(0..500);
            }
            // Memory moves, files are opened and closed, and a lag has any value.
            node.gauges[0] += f64::from(random.random_range(-64..=64)) * 4096.0;
            node.gauges[1] = f64::from(random.random_range(40..60));
            node.gauges[2] += f64::from(random.random_range(-3..=3));
            node.gauges[3] = f64::from(random.random_range(0..4));
            node.gauges[4] = random.random_range(0.0..0.01);
        }
    }

    /// The requests of this moment in OTLP.
    pub(crate) fn otlp(&self) -> impl Iterator<Item = Vec<u8>> {
        self.nodes.chunks(NODES_A_REQUEST).map(|nodes| otlp::request(nodes, self.at_ms))
    }

    /// The same samples for Prometheus' remote write.
    pub(crate) fn remote_write(&self) -> impl Iterator<Item = Vec<u8>> {
        self.nodes.chunks(NODES_A_REQUEST).map(|nodes| remote::request(nodes, self.at_ms))
    }
}
