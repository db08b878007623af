//! What a node does: one thin file for each role.

mod app;
mod balancer;
mod lifecycle;
pub(crate) mod observer;
mod recall;
mod worker;

use crate::App;
use crate::error::Result;
use crate::node::Identity;
use crate::topology::Topology;
use lifecycle::Lifecycle;
use onefold_core::Role;
use onefold_core::metrics::Metrics;
use onefold_observability::emit::Emitter;

/// What a node tells of itself.
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    pub(crate) emitter: Emitter,
}

/// Runs one node until it is told to stop, and drains it.
pub(crate) async fn run(app: App, topology: Topology, identity: Identity, telemetry: Telemetry) -> Result {
    let lifecycle = Lifecycle::begin(&identity, telemetry).await?;
    match identity.role {
        Role::Balancer => balancer::run(&topology, identity, lifecycle).await,
        Role::App => app::run(app, &topology, identity, lifecycle).await,
        Role::Worker => worker::run(app, &topology, identity, lifecycle).await,
        Role::Observer => observer::run(app, &topology, identity, lifecycle).await,
    }
}
