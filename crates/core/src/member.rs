//! A node as the others see it: registered in the configuration service under a lease.

use crate::node::{Boot, NodeName, Role, Zone};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// One registered node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Where it stands.
    pub zone: Zone,
    /// Where it takes requests; none for a node that takes none.
    pub address: Option<SocketAddr>,
    /// Where it serves `/healthz`, `/readyz` and `/metrics`.
    pub admin: SocketAddr,
    /// Which start of the node this is.
    pub boot: Boot,
    /// The build it runs, so that two builds side by side can be told apart.
    pub build: String,
}

/// A snapshot of the members, sorted by name.
pub type Members = Arc<[Member]>;
