//! A node or engine, as `status --json` shows it.

use serde::Deserialize;
use std::net::SocketAddr;

#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) processes: Vec<Node>,
}

/// One node or engine of a running system.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: String,
    /// Where it stands.
    pub zone: Option<String>,
    /// Its process, while it runs.
    pub pid: Option<i32>,
    /// Whether it is ready.
    pub state: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Where it serves `/healthz`, `/readyz` and `/metrics`, if it does.
    pub admin: Option<SocketAddr>,
    /// How often it was started again.
    pub restarts: u32,
}
