//! The cache tier on a real Postgres, with several nodes over one database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bus;
mod engine;
mod history;
mod invalidation;
mod loads;
mod node;
#[cfg(feature = "redis")]
mod redis;
mod replicas;
