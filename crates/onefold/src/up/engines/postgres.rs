//! The database that `up` runs itself, unless the topology names one of the team's own.

use super::Ground;
use crate::cli::Failure;
use crate::topology::Topology;
use crate::up::plan;
use onefold_core::NodeName;
use onefold_core::engine::Seat;
use onefold_database::local::{LocalCluster, Plan};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `initdb`'s own limit, and the least that a new cluster's WAL allows.
const CONNECTIONS_MIN: u16 = 100;

pub(super) async fn plan(
    topology: &Topology,
    ground: &mut Ground<'_>,
) -> Result<Option<LocalCluster>, Failure> {
    if topology.database.url.is_some() {
        return Ok(None);
    }
    let site = ground.site(LocalCluster::names(topology.database.replicas))?;
    let plan = Plan {
        detours: detours(&site.seats, ground)?,
        site,
        binaries: topology.database.binaries.clone(),
        cache: ground.engines.cache().to_owned(),
        sockets: ground.engines.sockets().to_owned(),
        when_alone: topology.database.when_alone,
        connections_max: connections(topology).max(CONNECTIONS_MIN),
    };
    Ok(Some(LocalCluster::plan(plan, ground.host).await?))
}

/// Any may become the primary, and then the others stream from it.
fn detours(
    seats: &[Seat],
    ground: &mut Ground<'_>,
) -> Result<BTreeMap<(NodeName, NodeName), SocketAddr>, Failure> {
    let mut detours = BTreeMap::new();
    for from in seats {
        for to in seats.iter().filter(|to| to.name != from.name) {
            let detour = ground.web.detour((&from.name, &to.name), to.address, ground.ports)?;
            detours.extend(detour.map(|detour| ((from.name.clone(), to.name.clone()), detour)));
        }
    }
    Ok(detours)
}

/// What all nodes' pools may hold on one server, with some for people and tools.
fn connections(topology: &Topology) -> u16 {
    const OTHERS: usize = 20;
    let node = topology.database.connection_budget().primary;
    u16::try_from(node * plan::nodes(topology).len() + OTHERS).unwrap_or(u16::MAX)
}
