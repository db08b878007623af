//! The Postgres cluster that `up` runs: one primary and its streaming replicas, each a process of the supervisor.
//!
//! It owns how a cluster is made, started and resumed, and the passwords in it. It promises that an acknowledged
//! write is on two servers and visible on one replica (where there are replicas), and that a server that is
//! started again is what it was. Nodes learn of it only what they would be told of any Postgres: names, zones and
//! URLs. A promotion is not made here.

mod binaries;
mod birth;
mod cluster;
mod credentials;
mod leftovers;
mod questions;
mod server;
mod session;
mod settings;
mod sql;
mod template;

pub use cluster::{LocalCluster, Plan};
