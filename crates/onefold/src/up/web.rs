//! The edges that `up --chaos` leads through its fault proxy: each has an address of its own. Without it there are none,
//! and everybody is told the true addresses.

use crate::cli::Failure;
use onefold_chaos::Edge;
use onefold_core::NodeName;
use onefold_supervisor::Ports;
use std::net::SocketAddr;

/// The edges of one system.
#[derive(Debug, Default)]
pub(super) struct Web {
    is_wanted: bool,
    edges: Vec<Edge>,
}

impl Web {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, edges: Vec::new() }
    }

    /// Where `from` shall look for `to`, which is at `upstream`; none where it may know that. One edge may have several.
    ///
    /// # Errors
    /// Where no port is free for it.
    pub(super) fn detour(
        &mut self,
        (from, to): (&NodeName, &NodeName),
        upstream: SocketAddr,
        ports: &mut Ports,
    ) -> Result<Option<SocketAddr>, Failure> {
        if !self.is_wanted {
            return Ok(None);
        }
        let is_same = |edge: &&Edge| edge.from == *from && edge.to == *to;
        let name = match self.edges.iter().filter(is_same).count() {
            0 => format!("{from}:{to}"),
            others => format!("{from}:{to}:{}", others + 1),
        };
        let listen = ports.any(&name)?;
        self.edges.push(Edge { from: from.clone(), to: to.clone(), listen, upstream });
        Ok(Some(listen))
    }

    /// All of them.
    pub(super) fn into_edges(self) -> Vec<Edge> {
        self.edges
    }
}
