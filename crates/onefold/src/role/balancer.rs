//! The balancer node: takes requests and spreads them over the app nodes that the configuration service names.

use super::lifecycle::{Lifecycle, unlistenable};
use super::recall;
use crate::error::Result;
use crate::node::{self, Identity};
use crate::topology::Topology;
use onefold_balancer::{Balancer, Bound};
use onefold_core::Clock;
use onefold_core::topology::{Fault, Faults};
use onefold_database::Database;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// How long the connections to the configuration service take to close.
const CLOSE: Duration = Duration::from_secs(1);

pub(super) async fn run(topology: &Topology, identity: Identity, lifecycle: Lifecycle) -> Result {
    // It starts without the database too: then it spreads requests over the members that it last knew.
    let clock = Clock::system();
    let (tasks, metrics) = (&lifecycle.tasks, &lifecycle.metrics);
    let listen = identity.listen.unwrap_or(topology.balancer.listen);
    let (name, zone) = (&identity.name, &identity.zone);
    let database = Database::open(&topology.database, name, zone, tasks, metrics, clock.clone())?;
    let coordination = node::coordination(topology, &database, name, tasks, metrics, &clock).await?;
    let members = coordination.members();
    let balancer = Balancer::new(topology.balancer.clone(), zone, name, members.watch(), metrics, clock);
    let inherited = identity.inherited.take(listen);
    let hands_over = !inherited.is_empty();
    let bound = bind(&balancer, listen, inherited, &identity)?;
    // It is set once, here.
    let _ = lifecycle.balancer.set(balancer);
    recall::start(&lifecycle.emitter, members.watch(), name, tasks);
    let registration = members.register(identity.member());
    lifecycle.readiness.set(true);
    let serving = async {
        let served = bound.serve(lifecycle.stopping.clone()).await;
        // It may have ended by itself, by an error.
        lifecycle.stopping.cancel();
        served
    };
    let leaving = async {
        lifecycle.stopping.cancelled().await;
        lifecycle.readiness.set(false);
        if hands_over {
            lifecycle.leave_admin().await;
        }
        registration.leave().await;
    };
    let (served, ()) = tokio::join!(serving, leaving);
    lifecycle.end(CLOSE).await;
    Ok(served?)
}

/// Takes what was handed over for this address, or opens it.
fn bind(
    balancer: &Balancer,
    listen: SocketAddr,
    inherited: Vec<TcpListener>,
    identity: &Identity,
) -> Result<Bound> {
    if !inherited.is_empty() {
        return Ok(balancer.take(inherited)?);
    }
    if let Some(other) = identity.inherited.left().first() {
        let problem = format!("{listen} is not the address of the socket that was handed over, {other}");
        let fix = "have the socket unit's ListenStream and balancer.listen (or --listen) name one address";
        return Err(Faults::from(Fault::new("balancer.listen", problem, fix)).into());
    }
    balancer.bind(listen).map_err(|error| match error {
        onefold_balancer::Error::Listen { address, source } => {
            unlistenable(address, "balancer.listen", "--listen", &source)
        }
        other => other.into(),
    })
}
