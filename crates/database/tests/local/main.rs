//! The cluster of `up` on real processes (`examples/local.rs`).

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod cluster;
mod failover;
mod life;
mod writer;
