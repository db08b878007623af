//! The database tier on real Postgres servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod failover;
mod idempotency;
mod lanes;
mod migrate;
mod node;
mod pooler;
mod proxy;
mod replicas;
mod tail;
mod tls;
mod tx;
