//! `up`: the whole system on this machine.

use super::exit::Failure;
use super::output;
use crate::App;
use crate::topology::Topology;
use crate::up;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where `up` keeps its state unless told otherwise.
pub(super) const STATE: &str = ".onefold";

#[derive(Args)]
pub(super) struct Arguments {
    /// The topology file; by default ./Onefold.toml where there is one
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Where data, logs and ports are kept; a second `up` resumes them
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
    /// Move every listener to the block of ports from N up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=65_400))]
    port: Option<u16>,
    /// Run tiers on these engines instead of Postgres, as in `redis,nats,etcd`; the database stays Postgres
    #[arg(long, value_name = "ENGINE,…", value_enum, value_delimiter = ',')]
    engines: Vec<Engine>,
    /// Lead connections through a fault proxy, so that `chaos` can break them
    #[arg(long)]
    chaos: bool,
    /// Return once the system is ready, and leave it running; `down` stops it
    #[arg(long)]
    detach: bool,
}

/// An engine of a tier, as its key in the topology says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// The cache on a Redis Cluster
    Redis,
    /// The configuration service on etcd
    Etcd,
    /// The queue on NATS JetStream
    Nats,
}

impl Engine {
    /// The key that chooses it, and its value.
    fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::Redis => ("cache.engine", "redis"),
            Self::Etcd => ("coordination.engine", "etcd"),
            Self::Nats => ("queue.engine", "nats"),
        }
    }
}

const TOPOLOGY: &str = "Onefold.toml";

pub(super) fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    let engines = arguments.engines.iter().map(|engine| engine.key());
    let file = topology_or_default(arguments.topology.clone());
    let topology = Topology::load_with(file.as_deref(), engines)?;
    let runtime = super::runtime()?;
    if arguments.detach {
        return runtime.block_on(detach(&arguments));
    }
    let options = up::Options { state: arguments.state, port: arguments.port, chaos: arguments.chaos };
    runtime.block_on(up::run(app, topology, options))
}

async fn detach(arguments: &Arguments) -> Result<(), Failure> {
    let program = up::called_by()?;
    let own = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let detached =
        onefold_supervisor::respawn(&arguments.state, &program, own.collect::<Vec<OsString>>()).await?;
    if detached.exit_status == 0 {
        return output::print(detached.output);
    }
    Err(Failure::Reported { output: detached.output, status: detached.exit_status })
}

/// The file that is named, or the one of the usual name where there is one.
pub(super) fn topology_or_default(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from(TOPOLOGY)).filter(|path| path.exists()))
}
