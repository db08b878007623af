//! The configuration service on a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod election;
mod etcd;
mod failover;
mod flags;
mod holders;
mod lock;
mod members;
mod settings;
mod support;
