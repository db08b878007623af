//! The Redis that `up` runs: six servers on this machine, three masters and a replica of each in another zone, made into
//! a cluster over the protocol.
//!
//! They keep nothing on disk but who they are. A master that dies hands its slots to its replica before it is started
//! again, and returns as that one's replica.

mod admin;
mod birth;
mod cluster;
mod nodes;
mod server;
mod settings;

pub use cluster::LocalRedis;
