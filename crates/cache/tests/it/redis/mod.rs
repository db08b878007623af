//! The Redis engine, on real servers.

mod bad_input;
mod cluster;
mod contract;
mod faults;
mod hints;
mod moving;
mod server;
mod slow;
mod tls;
mod tls_cluster;

pub(crate) use server::Server;
