//! The whole system: `links up`, real processes, a state of its own.

use crate::harness::{CpuTime, Pinned, Settings, free_ports, get, tree};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

const UP_MAX: Duration = Duration::from_mins(1);
const STOP_MAX: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long clicks may take to be written after the load.
const WRITTEN_MAX: Duration = Duration::from_mins(2);
const LOOK_FOR_JOBS_EVERY: Duration = Duration::from_millis(200);
/// `up` takes as many ports from its first one on, at most.
const PORTS: u16 = 40;

/// A running system, stopped when dropped.
#[derive(Debug)]
pub(crate) struct System {
    process: Pinned,
    home: Home,
    /// How long it took from the start of `up` to the first 200 through the balancer.
    pub(crate) took: Duration,
}

/// Where a system has its state, its ports, and which binary it runs.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    binary: PathBuf,
    topology: PathBuf,
    directory: PathBuf,
    pub(crate) port: u16,
}

/// A node or engine, as `status --json` tells.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: String,
    pid: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Status {
    processes: Vec<Node>,
}

impl Home {
    /// A state that does not exist yet.
    pub(crate) fn new(settings: &Settings, directory: &Path) -> Result<Self> {
        let binary = settings.binaries.join("links");
        let binary = binary.canonicalize().with_context(|| format!("find {}", binary.display()))?;
        let topology = settings.root.join("examples/links/Onefold.toml");
        let topology = topology.canonicalize().context("find the topology of links")?;
        Ok(Self { binary, topology, directory: directory.to_owned(), port: free_ports(PORTS)? })
    }

    /// The same with another topology file, made of its own.
    pub(crate) fn with_topology(&self, change: impl FnOnce(&mut String)) -> Result<Self> {
        let mut text = std::fs::read_to_string(&self.topology).context("read the topology")?;
        change(&mut text);
        let topology = self.directory.join("Onefold.toml");
        std::fs::write(&topology, text).context("write a topology")?;
        Ok(Self { topology, ..self.clone() })
    }

    /// Starts the system on these cores, and waits until the balancer answers 200 to a request that crosses an app
    /// node and the database.
    pub(crate) fn up(&self, cores: &str) -> Result<System> {
        let begun = Instant::now();
        let (port, state) = (self.port.to_string(), self.state());
        let arguments = ["up", "--port", &port, "--topology"].map(AsRef::as_ref).into_iter();
        let arguments = arguments.chain([self.topology.as_os_str(), "--state".as_ref(), state.as_os_str()]);
        let process = Pinned::start(cores, &self.binary, arguments, &self.directory.join("up.log"))?;
        while get(self.port, "/links").map_or(0, |response| response.status) != 200 {
            if begun.elapsed() > UP_MAX {
                let said = std::fs::read_to_string(self.directory.join("up.log")).unwrap_or_default();
                bail!("`links up` does not answer after {UP_MAX:?}: {said}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(System { process, home: self.clone(), took: begun.elapsed() })
    }

    /// Removes the state, wherever parts of it lie.
    pub(crate) fn remove(&self) -> Result<()> {
        let removed = self.command(&["down", "--remove-state"]).output().context("run `links down`")?;
        if !removed.status.success() {
            bail!("`links down --remove-state`: {}", String::from_utf8_lossy(&removed.stderr));
        }
        Ok(())
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--state").arg(self.state()).current_dir(&self.directory);
        command
    }
}

impl System {
    pub(crate) fn port(&self) -> u16 {
        self.home.port
    }

    /// Every node and engine.
    pub(crate) fn nodes(&self) -> Result<Vec<Node>> {
        let output = self.home.command(&["status", "--json"]).output().context("run `links status`")?;
        let status: Status = serde_json::from_slice(&output.stdout).context("read the status")?;
        Ok(status.processes)
    }

    /// A superuser's connection to the primary.
    pub(crate) async fn primary(&self) -> Result<Client> {
        let nodes = self.nodes()?;
        let primary = nodes.iter().find(|node| node.role == "primary").context("there is no primary")?;
        let path = self.home.state().join("secrets").join(format!("{}-admin.url", primary.name));
        let url = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let (client, connection) = tokio_postgres::connect(url.trim(), NoTls).await.context("connect")?;
        tokio::spawn(connection);
        // The application's tables are in one of these, as its account's search path has it.
        client.batch_execute("set search_path to public, onefold").await.context("set the search path")?;
        Ok(client)
    }

    /// All its processes, the supervisor's own included.
    pub(crate) fn pids(&self) -> Vec<u32> {
        tree(self.process.pid())
    }

    /// The CPU time of all its processes so far.
    pub(crate) fn cpu(&self) -> CpuTime {
        CpuTime::of(&self.pids())
    }

    /// Drains and stops it.
    pub(crate) fn down(self) -> Result<Home> {
        self.process.stop(STOP_MAX)?;
        Ok(self.home)
    }
}

impl Node {
    /// Its process with its children: Postgres has one for each connection.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.pid.map(tree).unwrap_or_default()
    }

    /// Whether a request waits for it.
    pub(crate) fn is_on_request_path(&self) -> bool {
        self.role == "balancer" || self.role == "app"
    }

    pub(crate) fn is_worker(&self) -> bool {
        self.role == "worker"
    }

    /// Whether it is none of our nodes.
    pub(crate) fn is_engine(&self) -> bool {
        !self.is_on_request_path() && !self.is_worker()
    }
}

/// Waits until no job is left: twice, since a node may still hold some that it has not stored.
pub(crate) async fn wait_until_written(primary: &Client) -> Result<()> {
    let begun = Instant::now();
    let mut empty = 0;
    while empty < 2 {
        if begun.elapsed() > WRITTEN_MAX {
            bail!("clicks are still being written {WRITTEN_MAX:?} after the load");
        }
        tokio::time::sleep(LOOK_FOR_JOBS_EVERY).await;
        let row = primary
            .query_one("select exists (select from onefold.job)", &[])
            .await
            .context("look for jobs")?;
        empty = if row.get(0) { 0 } else { empty + 1 };
    }
    Ok(())
}
