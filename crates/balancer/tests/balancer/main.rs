//! The balancer over real sockets, with small nodes behind it.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

mod abuse;
mod access;
mod balancing;
mod client;
mod fleet;
mod hygiene;
mod leaving;
mod limits;
mod node;
mod passing;
mod retries;
