//! What a node does: one thin file for each role.

mod app;
mod balancer;
mod lifecycle;
mod worker;

use crate::App;
use crate::error::Result;
use crate::node::Identity;
use crate::topology::Topology;
use lifecycle::Lifecycle;
use onefold_core::Role;

/// Runs one node until it is told to stop, and drains it.
pub(crate) async fn run(app: App, topology: Topology, identity: Identity) -> Result {
    let lifecycle = Lifecycle::begin(&identity).await?;
    match identity.role {
        Role::Balancer => balancer::run(&topology, identity, lifecycle).await,
        Role::App => app::run(app, &topology, identity, lifecycle).await,
        Role::Worker => worker::run(app, &topology, identity, lifecycle).await,
        Role::Observer => unreachable!("the command line refuses the role that is not there yet"),
    }
}
