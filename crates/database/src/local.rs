//! The Postgres cluster that `up` runs: one primary and its streaming replicas, each a process of the supervisor.
//!
//! It owns how a cluster is made, started and resumed, and the passwords in it. It promises that an acknowledged
//! write is on two servers and visible on one replica (where there are replicas), that it is not lost by the death of
//! any server, and that there is one primary at a time. Nodes learn of it what they would be told of any Postgres,
//! names, zones and URLs, and by a file who the primary is.

mod alone;
mod binaries;
mod birth;
mod cluster;
mod credentials;
mod failover;
mod leftovers;
mod questions;
mod roles;
mod server;
mod session;
mod settings;
mod sql;
mod template;
mod term;

pub use cluster::{LocalCluster, Plan};
