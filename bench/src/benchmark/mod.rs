//! The benchmarks: one question each.

mod balancer;
mod drain;
mod etcd;
mod memory;
mod nats;
mod reads;
mod redis;
mod samples;
mod spans;
mod start;
mod system;
mod telemetry;
mod ways;
mod write;

use crate::harness::{Outcome, Settings};
use anyhow::Result;
use clap::ValueEnum;

/// All benchmarks, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// A request through the balancer.
    Balancer,
    /// Point reads through `Db`.
    Reads,
    /// A row and a job in one transaction.
    Write,
    /// A full queue, emptied.
    Drain,
    /// A cached redirect through the whole system.
    System,
    /// The spans of a request.
    Telemetry,
    /// `up` to the first answer.
    Start,
    /// Memory of each process.
    Memory,
    /// Spans into the observer, and out of it.
    Spans,
    /// Samples into the observer, and out of it by PromQL.
    Samples,
    /// Hits and fills of the cache on Redis Cluster.
    Redis,
    /// Jobs through NATS.
    Nats,
    /// Changes and locks in etcd.
    Etcd,
}

impl Benchmark {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Reads => "reads",
            Self::Write => "write",
            Self::Drain => "drain",
            Self::System => "system",
            Self::Telemetry => "telemetry",
            Self::Start => "start",
            Self::Memory => "memory",
            Self::Spans => "spans",
            Self::Samples => "samples",
            Self::Redis => "redis",
            Self::Nats => "nats",
            Self::Etcd => "etcd",
        }
    }

    /// Runs it.
    pub(crate) async fn run(self, settings: &Settings) -> Result<Outcome> {
        match self {
            Self::Balancer => balancer::run(settings),
            Self::Reads => reads::run(settings).await,
            Self::Write => write::run(settings).await,
            Self::Drain => drain::run(settings).await,
            Self::System => system::run(settings).await,
            Self::Telemetry => telemetry::run(settings).await,
            Self::Start => start::run(settings),
            Self::Memory => memory::run(settings),
            Self::Spans => spans::run(settings),
            Self::Samples => samples::run(settings),
            Self::Redis => redis::run(settings).await,
            Self::Nats => nats::run(settings).await,
            Self::Etcd => etcd::run(settings).await,
        }
    }
}
