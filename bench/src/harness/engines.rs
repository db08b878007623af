//! The servers of an engine, started as `up` starts them, and pinned to the server's core.

use crate::harness::host::Host;
use crate::harness::process::{Pinned, SERVER_CORE, free_port};
use anyhow::{Context as _, Result, bail};
use onefold_cache::redis::local::LocalRedis;
use onefold_coordination::etcd::local::LocalEtcd;
use onefold_core::NodeName;
use onefold_core::engine::{LocalEngine, Seat, Site};
use onefold_core::process::ProcessError;
use onefold_queue::nats::local::LocalNats;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What keys begin with, as by default.
const PREFIX: &str = "onefold";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running engine, gone when dropped.
#[derive(Debug)]
pub(crate) struct PinnedEngine {
    _servers: Vec<Pinned>,
    directory: TempDir,
}

/// Where an engine is, as a node's topology says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tables {
    pub(crate) cache: onefold_cache::Config,
    pub(crate) queue: onefold_queue::Config,
    pub(crate) coordination: onefold_coordination::Config,
}

impl PinnedEngine {
    /// Three masters and three replicas, as a cluster.
    pub(crate) async fn redis() -> Result<Self> {
        let directory = directory()?;
        let engine = LocalRedis::plan(site(&directory, LocalRedis::names())?, PREFIX, &Host).await?;
        Self::start(directory, &engine, "cache.engine = \"redis\"").await
    }

    /// Three servers with JetStream.
    pub(crate) async fn nats() -> Result<Self> {
        let directory = directory()?;
        let engine = LocalNats::plan(site(&directory, LocalNats::names())?, &Host).await?;
        Self::start(directory, &engine, "queue.engine = \"nats\"").await
    }

    /// Three members.
    pub(crate) async fn etcd() -> Result<Self> {
        let directory = directory()?;
        let engine = LocalEtcd::plan(site(&directory, LocalEtcd::names())?, PREFIX, &Host).await?;
        Self::start(directory, &engine, "coordination.engine = \"etcd\"").await
    }

    async fn start(directory: TempDir, engine: &dyn LocalEngine, choice: &str) -> Result<Self> {
        let processes = engine.processes();
        let mut servers = Vec::new();
        for process in &processes {
            let name = process.name();
            done(|| process.prepare(&Host)).await.with_context(|| format!("prepare {name}"))?;
            let log = directory.path().join(format!("{name}.log"));
            servers.push(Pinned::launch(SERVER_CORE, &process.command(), &log)?);
        }
        for process in &processes {
            done(|| process.ready()).await.with_context(|| format!("wait for {}", process.name()))?;
        }
        for process in &processes {
            done(|| process.started()).await.with_context(|| format!("set {} up", process.name()))?;
        }
        let lines = engine.keys().into_iter().map(|(key, value)| format!("{key} = {value}\n"));
        let text = lines.fold(format!("{choice}\n"), |text, line| text + &line);
        std::fs::write(directory.path().join("engine.toml"), text).context("write a topology")?;
        Ok(Self { _servers: servers, directory })
    }

    /// The file that says where it is.
    pub(crate) fn topology(&self) -> PathBuf {
        self.directory.path().join("engine.toml")
    }
}

impl Tables {
    pub(crate) fn read(topology: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(topology).context("read a topology")?;
        toml::from_str(&text).context("read a topology")
    }
}

fn directory() -> Result<TempDir> {
    TempDir::new().context("make a directory")
}

fn site(directory: &TempDir, names: Vec<NodeName>) -> Result<Site> {
    let zones = ["a", "b", "c"].into_iter().cycle();
    let at = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
    let seat = |(name, zone): (NodeName, &str)| {
        anyhow::Ok(Seat { name, zone: zone.parse()?, address: at()?, peers: at()? })
    };
    let seats = names.into_iter().zip(zones).map(seat).collect::<Result<_>>()?;
    let home = directory.path().to_owned();
    Ok(Site { seats, secrets: home.clone(), home, account: None })
}

/// Does a step of a start, again and again until it is no "not yet" any more.
async fn done<'a>(
    step: impl Fn() -> onefold_core::process::BoxFuture<'a, Result<(), ProcessError>>,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        match step().await {
            Ok(()) => return Ok(()),
            Err(ProcessError::NotYet(reason)) if begun.elapsed() > PATIENCE => {
                bail!("not within {PATIENCE:?}: {reason}")
            }
            Err(ProcessError::NotYet(_)) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => return Err(error.into()),
        }
    }
}
