//! What `up` needs to know of an engine that it runs itself: its servers as processes, and what nodes are told of
//! them. Each engine's `local` module says so.

use crate::node::{NodeName, Zone};
use crate::process::{Account, Process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A value of the topology file.
pub use toml::Value;

/// An engine that runs on this machine for one system.
pub trait LocalEngine: Send + Sync {
    /// Its servers, for the supervisor.
    fn processes(&self) -> Vec<Arc<dyn Process>>;

    /// The keys of the topology that lead nodes to it, as in `cache.url`. A secret stands there as a reference.
    fn keys(&self) -> Vec<(&'static str, Value)>;
}

/// Where the servers of a local engine are to be, and what belongs to them.
#[derive(Clone, Debug)]
pub struct Site {
    /// The servers, in order.
    pub seats: Vec<Seat>,
    /// Where their data goes, in a directory of each one's name; the account owns it.
    pub home: PathBuf,
    /// Where passwords and URLs are kept for the nodes: the supervisor's own.
    pub secrets: PathBuf,
    /// The account that they run under; none means the supervisor's own.
    pub account: Option<Account>,
}

/// One server of a local engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its name: `etcd-1`.
    pub name: NodeName,
    /// Where it stands.
    pub zone: Zone,
    /// Where clients reach it.
    pub address: SocketAddr,
    /// Where the engine's other servers reach it; the same as `address` for an engine with one listener.
    pub peers: SocketAddr,
}
