//! The Redis engine, on real servers.

mod cluster;
mod contract;
mod faults;
mod server;
