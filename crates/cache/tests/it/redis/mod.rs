//! The Redis engine, on real servers.

mod bad_input;
mod cluster;
mod contract;
mod faults;
mod hints;
pub(crate) mod server;
