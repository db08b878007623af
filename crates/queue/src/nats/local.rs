//! The NATS that `up` runs: three servers with JetStream on this machine, each job on all of them.

mod cluster;
mod server;
mod settings;

pub use cluster::LocalNats;
