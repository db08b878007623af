//! What `balancer endpoints` and the console show of an endpoint.

use super::node::{Endpoint, Readiness};
use super::outlier::Standing;
use onefold_core::{NodeName, Zone};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Instant;

/// One endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointStatus {
    /// The node.
    pub name: NodeName,
    /// Where it stands.
    pub zone: Zone,
    /// Where its requests go.
    pub address: SocketAddr,
    /// Whether requests go there, and why not.
    pub health: Health,
    /// Requests that it has not answered to the end.
    pub in_flight: u32,
    /// Its peak-EWMA latency in milliseconds.
    pub latency_ms: f64,
    /// Connections to it.
    pub connections: usize,
}

/// Whether requests go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// They do.
    Ready,
    /// They do; it was not asked yet.
    Unknown,
    /// They do not: it says that it is not ready, or says nothing.
    Unready,
    /// They do not: too many failed in a row.
    Ejected,
    /// One does, to see whether the others may.
    Probing,
}

impl EndpointStatus {
    pub(crate) fn of(endpoint: &Endpoint, now: Instant) -> Self {
        let health = match (endpoint.standing(), endpoint.readiness()) {
            (_, Readiness::Unready) => Health::Unready,
            (Standing::Ejected(_), _) => Health::Ejected,
            (Standing::Probing(_), _) => Health::Probing,
            (Standing::Serving(_), Readiness::Unknown) => Health::Unknown,
            (Standing::Serving(_), Readiness::Ready) => Health::Ready,
        };
        Self {
            name: endpoint.member.name.clone(),
            zone: endpoint.member.zone.clone(),
            address: endpoint.address,
            health,
            in_flight: endpoint.in_flight(),
            latency_ms: endpoint.latency(now).as_secs_f64() * 1000.0,
            connections: endpoint.connections(),
        }
    }
}
