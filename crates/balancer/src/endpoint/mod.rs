//! The nodes that requests are sent to: how fast each is, whether it can be used, and which comes next.
//!
//! Everything that decides is a pure function over numbers ([`choice`], [`latency`], [`outlier`]); [`node`] keeps
//! those numbers for one node in atomics, [`roster`] is the snapshot that the hot path reads, [`table`] publishes
//! it, [`keep`] holds the tasks that keep it true, [`check`] asks nodes for `/readyz`.

mod check;
pub(crate) mod choice;
mod keep;
mod latency;
pub(crate) mod node;
pub(crate) mod outlier;
pub(crate) mod roster;
#[cfg(test)]
mod simulation;
mod status;
pub(crate) mod table;

pub(crate) use check::Checks;
#[cfg(test)]
pub(crate) use latency::first_guess;
pub(crate) use node::Endpoint;
pub use status::{EndpointStatus, Health};
pub(crate) use table::Table;
