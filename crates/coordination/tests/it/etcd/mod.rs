//! The engine etcd on real servers.

mod conformance;
mod faults;
mod refusals;
mod servers;
mod stage;
