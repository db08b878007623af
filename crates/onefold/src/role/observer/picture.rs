//! The system as it is now: what runs where, and what goes between.

use super::stamp::Stamp;
use chrono::{DateTime, Utc};
use onefold_chaos::Fault;
use onefold_core::{NodeName, Zone};
use onefold_database::ServerRole;
use serde::Serialize;
use std::net::SocketAddr;

/// The whole picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Picture {
    /// When it was shown; set by [`Picture::at`].
    at: Option<Stamp>,
    system: String,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// Faults that somebody put into the system on purpose, in force.
    pub(super) faults: Vec<Fault>,
    /// Those that were over as soon as they were done: they are told of, and not shown.
    #[serde(skip)]
    pub(super) done: Vec<Fault>,
}

/// A node or an engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) role: String,
    pub(super) zone: Option<Zone>,
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) pid: Option<u32>,
    /// Where it is reached: an engine of the team's own may have a name for an address.
    pub(super) address: Option<String>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) restarts: u32,
    #[serde(skip)]
    pub(super) started_at_ms: Option<u64>,
    /// Set by [`Picture::at`].
    pub(super) uptime_s: Option<u64>,
    pub(super) build: Option<String>,
    /// The elections that it has won.
    pub(super) leads: Vec<String>,
    pub(super) database: Option<Server>,
    /// The numbers of the faults that it bears.
    pub(super) faults: Vec<u32>,
}

/// What an engine that is a database server is to the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Server {
    pub(super) role: ServerRole,
    /// How stale a read may be there at most.
    pub(super) lag_ms: Option<u64>,
    pub(super) lsn: String,
    /// Whether it is the primary and may have acknowledged what no replica has.
    pub(super) alone: bool,
}

impl Server {
    /// Without what moves all the time.
    fn still(&self) -> Self {
        Self { role: self.role, lag_ms: None, lsn: String::new(), alone: self.alone }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Node,
    Engine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ready,
    Starting,
    Restarting,
    Draining,
    Down,
}

/// What goes from one to another, over the last minute. Beside nodes and engines there are the client, and the places
/// cache, queue, coordination and observer, which are drawn by themselves wherever they live.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Edge {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: EdgeKind,
    /// A second: requests, statements, reads, jobs, calls, spans and log lines; of replication, bytes.
    pub(super) rate: f64,
    /// The share that failed.
    pub(super) error_rate: f64,
    /// How long it took; of replication, how far the replica was behind.
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// The numbers of the faults that it bears.
    pub(super) faults: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EdgeKind {
    Http,
    Sql,
    Cache,
    Queue,
    Config,
    Telemetry,
    Replication,
}

impl Picture {
    pub(super) fn new(system: &str, nodes: Vec<Node>, edges: Vec<Edge>) -> Self {
        Self { at: None, system: system.to_owned(), nodes, edges, faults: Vec::new(), done: Vec::new() }
    }

    pub(super) fn system(&self) -> &str {
        &self.system
    }

    /// The same with what the clock says.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Self {
        let now_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let mut shown = self.clone();
        shown.at = Some(Stamp(now));
        for node in &mut shown.nodes {
            let started = node.started_at_ms.filter(|_| node.pid.is_some());
            node.uptime_s = started.map(|started| now_ms.saturating_sub(started) / 1000);
        }
        shown
    }

    /// Whether nothing has happened in between but time and traffic.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let still =
            |node: &Node| Node { database: node.database.as_ref().map(Server::still), ..node.clone() };
        self.faults == other.faults
            && self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(|(one, other)| still(one) == still(other))
    }

    pub(super) fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }
}
