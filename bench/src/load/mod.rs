//! What the load's process does to a database or an engine, through Onefold and through each peer.
//!
//! Every load runs in one thread: it has one core.

mod bare;
mod drain;
mod drive;
mod etcd;
pub(crate) mod metrics;
mod nats;
mod node;
mod reads;
mod redis;
pub(crate) mod sender;
pub(crate) mod telemetry;
mod write;

pub(crate) use reads::ROWS;

use crate::harness::Count;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The kind of the jobs.
const KIND: &str = "noop.v1";

/// The loads.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Load {
    /// Reads one row by its key, again and again.
    Reads {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: reads::Through,
    },
    /// Writes a row and a job in one transaction, again and again.
    Write {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: write::Through,
    },
    /// Fills the queue, then drains it.
    Drain {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: drain::Through,
        /// How many jobs.
        #[arg(long)]
        jobs: i64,
    },
    /// Reads or fills entries of the cache on Redis.
    Redis {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: redis::Through,
        /// Where Redis is.
        #[arg(long)]
        topology: PathBuf,
    },
    /// Carries jobs by NATS.
    Nats {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: nats::Through,
        /// Where NATS is.
        #[arg(long)]
        topology: PathBuf,
        /// How many jobs.
        #[arg(long)]
        jobs: i64,
    },
    /// Changes and locks in etcd.
    Etcd {
        #[command(flatten)]
        target: Target,
        /// By what means.
        #[arg(long)]
        through: etcd::Through,
        /// Where etcd is.
        #[arg(long)]
        topology: PathBuf,
        /// How many holders crash.
        #[arg(long)]
        crashes: u32,
    },
}

/// Where a load goes, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The primary's URL.
    #[arg(long)]
    primary: String,
    /// A replica's URL.
    #[arg(long)]
    replica: Option<String>,
    /// Tasks at once.
    #[arg(long, default_value_t = 32)]
    tasks: usize,
    /// The measured window in milliseconds.
    #[arg(long, default_value_t = 3000)]
    window_ms: u64,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Target {
    fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }
}

impl Load {
    /// Runs it to its end.
    pub(crate) async fn run(&self) -> Result<Count> {
        match self {
            Self::Reads { target, through } => reads::run(target, *through).await,
            Self::Write { target, through } => write::run(target, *through).await,
            Self::Drain { target, through, jobs } => drain::run(target, *jobs, *through).await,
            Self::Redis { target, through, topology } => redis::run(target, topology, *through).await,
            Self::Nats { target, through, topology, jobs } => {
                nats::run(target, topology, *jobs, *through).await
            }
            Self::Etcd { target, through, topology, crashes } => {
                etcd::run(target, topology, *through, *crashes).await
            }
        }
    }
}
