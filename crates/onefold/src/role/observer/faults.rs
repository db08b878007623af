//! Faults on the picture: which nodes and edges bear them. An edge that carries nothing is drawn for its fault.

use super::picture::{Edge, EdgeKind, Kind, Node, Picture};
use crate::up::report::Report;
use onefold_chaos::Link;

/// Places that stand for engines and nodes, see [`Edge`].
const OBSERVER: &str = "observer";
const COORDINATION: &str = "coordination";

/// Marks what bears faults.
pub(super) fn mark(picture: &mut Picture, report: &Report) {
    for fault in &report.faults {
        for node in picture.nodes.iter_mut().filter(|node| fault.nodes.contains(&node.name)) {
            node.faults.push(fault.id);
        }
        for link in &fault.edges {
            let Some((from, to, kind)) = drawn(picture, link) else { continue };
            let is_it = |edge: &&mut Edge| edge.from == from && edge.to == to && edge.kind == kind;
            match picture.edges.iter_mut().find(is_it) {
                // Both ends of a replication may open it.
                Some(edge) if edge.faults.last() == Some(&fault.id) => {}
                Some(edge) => edge.faults.push(fault.id),
                None => picture.edges.push(bare(from, to, kind, fault.id)),
            }
        }
    }
    picture.faults.clone_from(&report.faults);
    picture.done = report.past.iter().filter(|fault| fault.kind.is_momentary()).cloned().collect();
}

/// Where an edge is drawn: replication as it flows, from the primary; the rest as it is opened.
fn drawn(picture: &Picture, link: &Link) -> Option<(String, String, EdgeKind)> {
    let (from, to) = (picture.node(&link.from)?, picture.node(&link.to)?);
    let names = |one: &Node, other: &Node| (one.name.to_string(), other.name.to_string());
    let (ends, kind) = match (from, to) {
        (from, to) if from.database.is_some() && to.database.is_some() => {
            let is_primary = from.role == "primary";
            (if is_primary { names(from, to) } else { names(to, from) }, EdgeKind::Replication)
        }
        (from, to) if to.role == OBSERVER => {
            ((from.name.to_string(), OBSERVER.to_owned()), EdgeKind::Telemetry)
        }
        (from, to) if to.kind == Kind::Node => (names(from, to), EdgeKind::Http),
        (from, to) if to.database.is_some() => (names(from, to), EdgeKind::Sql),
        (from, _) => ((from.name.to_string(), COORDINATION.to_owned()), EdgeKind::Config),
    };
    Some((ends.0, ends.1, kind))
}

fn bare(from: String, to: String, kind: EdgeKind, fault: u32) -> Edge {
    Edge {
        from,
        to,
        kind,
        rate: 0.0,
        error_rate: 0.0,
        p50_ms: None,
        p95_ms: None,
        p99_ms: None,
        faults: vec![fault],
    }
}
