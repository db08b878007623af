//! Which nodes a topology asks for, by name, role and zone.

use crate::topology::Topology;
use onefold_core::{NodeName, Role, Zone};

/// A node before it has its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) name: NodeName,
    pub(super) role: Role,
    pub(super) zone: Zone,
}

/// The nodes of a topology, in the order of the picture.
pub(super) fn nodes(topology: &Topology) -> Vec<Planned> {
    let zones = &topology.system.zones;
    let mut nodes = vec![
        planned("observer-1", Role::Observer, &zones[0]),
        planned("balancer", Role::Balancer, &zones[0]),
    ];
    for zone in zones {
        for number in 1..=topology.app.per_zone {
            // One node a zone is the common case, and needs no number.
            let name = if topology.app.per_zone == 1 {
                format!("app-{zone}")
            } else {
                format!("app-{zone}-{number}")
            };
            nodes.push(planned(&name, Role::App, zone));
        }
    }
    for worker in 0..topology.worker.nodes {
        let zone = zones[worker as usize % zones.len()].clone();
        nodes.push(planned(&format!("worker-{}", worker + 1), Role::Worker, &zone));
    }
    nodes
}

fn planned(name: &str, role: Role, zone: &Zone) -> Planned {
    let name = name.parse().expect("a role, a zone and a number make a name");
    Planned { name, role, zone: zone.clone() }
}
