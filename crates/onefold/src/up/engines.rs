//! The engines that `up` runs itself: Postgres, unless the topology names one of the team's own.

use crate::cli::Failure;
use crate::topology::Topology;
use onefold_core::NodeName;
use onefold_core::process::{Host, Process};
use onefold_database::local::{LocalCluster, LocalServer, Plan};
use onefold_supervisor::{Ports, State};
use std::sync::Arc;

/// `initdb`'s own limit, and the least that a new cluster's WAL allows.
const CONNECTIONS_MIN: u16 = 100;

/// The engines of a system on this machine.
#[derive(Default)]
pub(super) struct Engines {
    cluster: Option<LocalCluster>,
    pub(super) servers: Vec<LocalServer>,
}

/// Plans the engines; starts nothing yet.
pub(super) async fn plan(
    topology: &Topology,
    state: &State,
    ports: &mut Ports,
    host: &dyn Host,
) -> Result<Engines, Failure> {
    if topology.database.url.is_some() {
        return Ok(Engines::default());
    }
    let zones = topology.system.zones.iter().cycle();
    let mut servers = Vec::new();
    for (name, zone) in LocalCluster::names(topology.database.replicas).into_iter().zip(zones) {
        let address = ports.any(name.as_str())?;
        servers.push((name, zone.clone(), address));
    }
    let engines = state.engines();
    let plan = Plan {
        servers,
        binaries: topology.database.binaries.clone(),
        home: engines.home().to_owned(),
        cache: engines.cache().to_owned(),
        sockets: engines.sockets().to_owned(),
        secrets: state.secrets(),
        account: engines.account().cloned(),
        connections_max: connections(topology).max(CONNECTIONS_MIN),
    };
    let cluster = LocalCluster::plan(plan, host).await?;
    let servers = cluster.servers()?;
    Ok(Engines { cluster: Some(cluster), servers })
}

/// What all nodes' pools may hold on one server, with some for people and tools.
fn connections(topology: &Topology) -> u16 {
    const OTHERS: usize = 20;
    let node = topology.database.connection_budget().primary;
    u16::try_from(node * super::plan::nodes(topology).len() + OTHERS).unwrap_or(u16::MAX)
}

impl Engines {
    pub(super) fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.cluster.as_ref().map(LocalCluster::processes).unwrap_or_default()
    }

    pub(super) fn names(&self) -> Vec<NodeName> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }
}
