//! Which edges lead through the fault proxy: from each node to each server and to the observer, and from the balancer to
//! each app node. Those between servers are the engines' own ([`super::engines`]).

use super::Placed;
use super::detours::{self, Detours};
use super::effective::{Effective, Ingest};
use super::engines::Engines;
use super::web::Web;
use crate::cli::Failure;
use onefold_core::process::Host;
use onefold_core::{NodeName, Role};
use onefold_supervisor::{Ports, State};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the telemetry of all nodes goes, unless somebody else takes it.
const TELEMETRY: &str = "telemetry.otlp";

/// What one node is told instead of the truth.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Where the balancer finds it, for requests and for its checks.
    pub(super) advertise: Option<[SocketAddr; 2]>,
    detours: Detours,
}

/// Finds an address for each edge of each node, in the order of the nodes.
pub(super) fn spin(
    placed: &[Placed],
    engines: &Engines,
    (effective, ingest): (&Effective, Ingest),
    (ports, web): (&mut Ports, &mut Web),
) -> Result<Vec<Told>, Failure> {
    let named = |role| placed.iter().find(|node| node.planned.role == role).map(|node| &node.planned.name);
    let (balancer, observer) = (named(Role::Balancer), named(Role::Observer));
    let observer = observer.filter(|_| goes_to(effective, ingest.grpc));
    let mut servers = engines.servers_told();
    servers.extend(observer.map(|observer| (observer.clone(), ingest.grpc)));
    let mut told = Vec::new();
    for node in placed {
        let name = &node.planned.name;
        let mut one = Told::default();
        for (server, address) in servers.iter().filter(|(server, _)| server != name) {
            let detour = web.detour((name, server), *address, ports)?;
            one.detours.extend(detour.map(|detour| (*address, detour)));
        }
        if let (Role::App, Some(balancer), Some(listen)) = (node.planned.role, balancer, node.listen) {
            let requests = web.detour((balancer, name), listen, ports)?;
            let checks = web.detour((balancer, name), node.admin, ports)?;
            one.advertise = requests.zip(checks).map(|(requests, checks)| [requests, checks]);
        }
        told.push(one);
    }
    Ok(told)
}

fn goes_to(effective: &Effective, observer: SocketAddr) -> bool {
    let collectors = effective.topology.document.get(TELEMETRY);
    collectors.is_some_and(|collectors| collectors.to_string().contains(&observer.to_string()))
}

impl Told {
    /// The topology of this node: its own, where it is told something else than all.
    pub(super) fn topology(
        &self,
        node: &NodeName,
        (effective, engines): (&Effective, &Engines),
        (state, host): (&State, &dyn Host),
    ) -> Result<PathBuf, Failure> {
        if self.detours.is_empty() {
            return Ok(effective.path.clone());
        }
        let mut keys = engines.keys_told();
        keys.push(TELEMETRY);
        detours::write(effective, &keys, (node, &self.detours), (state, host))
    }
}
