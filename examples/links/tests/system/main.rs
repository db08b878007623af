//! The example as its users meet it: real processes, real Postgres, HTTP, and signals.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod alerts;
mod chaos;
mod cli;
mod clicks;
mod client;
mod console;
mod coordination;
mod elsewhere;
#[cfg(feature = "etcd")]
mod etcd;
mod failover;
mod failures;
mod load;
#[cfg(feature = "nats")]
mod nats;
mod observer;
mod overload;
mod prometheus;
mod receiver;
#[cfg(feature = "redis")]
mod redis;
mod requests;
mod rolling;
mod sessions;
mod supervision;
mod telemetry;
mod tls;
mod traces;

use onefold::testing::TestSystem;

const BINARY: &str = env!("CARGO_BIN_EXE_links");

async fn start() -> TestSystem {
    TestSystem::start(BINARY).await
}

/// Nodes that tell nothing of what goes well: for tests that make thousands of requests and read no trace or log of
/// them, since telling takes a third of a debug build's time.
const QUIET: &str = "[telemetry]\nlog = 'warn'\nsample = 0.0\nslow = '60s'\nring_bytes_max = 0\n";

async fn start_quiet() -> TestSystem {
    TestSystem::start_with(BINARY, QUIET).await
}
