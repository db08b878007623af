//! The cluster that `up` runs, with a test in the place of the supervisor.

use crate::node::{eventually, within};
use onefold_cache::redis::local::LocalRedis;
use onefold_cache::{Config, Engine};
use onefold_core::Secret;
use onefold_core::engine::{LocalEngine as _, Seat, Site};
use onefold_core::process::{Account, BoxFuture, Command, Host, Output, Process, ProcessError};
use redis::aio::MultiplexedConnection;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Cluster {
    servers: Vec<Arc<dyn Process>>,
    children: Vec<Option<Child>>,
    home: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = Self { servers: Vec::new(), children: Vec::new(), home };
        cluster.begin().await;
        cluster
    }

    /// Starts it where it was, under other ports.
    pub(crate) async fn move_elsewhere(&mut self) {
        for index in 0..self.servers.len() {
            self.kill(index);
        }
        self.begin().await;
    }

    async fn begin(&mut self) {
        let zones = ["a", "b", "c"].into_iter().cycle();
        let seat = |(name, zone): (_, &str)| Seat {
            name,
            zone: zone.parse().unwrap(),
            address: free(),
            peers: free(),
        };
        let site = Site {
            seats: LocalRedis::names().into_iter().zip(zones).map(seat).collect(),
            home: self.home.path().to_owned(),
            secrets: self.home.path().to_owned(),
            account: None,
        };
        let engine = LocalRedis::plan(site, "onefold", &TestHost).await.unwrap();
        self.servers = engine.processes();
        self.children = (0..self.servers.len()).map(|_| None).collect();
        // The first waits for the others, as it says.
        for index in (0..self.servers.len()).rev() {
            self.launch(index).await;
        }
        for server in &self.servers {
            done("the cluster is formed", async || server.started().await).await;
        }
    }

    /// Starts a server that has died, as the supervisor does.
    pub(crate) async fn restart(&mut self, index: usize) {
        self.launch(index).await;
    }

    async fn launch(&mut self, index: usize) {
        let server = &self.servers[index];
        done("it is prepared", async || server.prepare(&TestHost).await).await;
        let command = server.command();
        let child = std::process::Command::new(&command.program)
            .args(&command.arguments)
            .current_dir(&command.directory)
            .stdout(Stdio::null())
            .spawn();
        self.children[index] = Some(child.unwrap());
        done("it is ready", async || server.ready().await).await;
    }

    pub(crate) fn kill(&mut self, index: usize) {
        let mut child = self.children[index].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(crate) async fn role(&self, index: usize) -> String {
        self.servers[index].role().await
    }

    /// A server that is a master now.
    pub(crate) async fn some_master(&self) -> usize {
        *self.masters().await.first().expect("a master")
    }

    /// Which servers are masters.
    pub(crate) async fn masters(&self) -> Vec<usize> {
        let mut masters = Vec::new();
        for index in 0..self.len() {
            if self.role(index).await == "master" {
                masters.push(index);
            }
        }
        masters
    }

    /// Has no server be taken for dead, because the machine is slow or since it is.
    pub(crate) async fn takes_nobody_for_dead(&self) {
        for index in 0..self.len() {
            let mut trust = redis::cmd("CONFIG");
            trust.arg("SET").arg("cluster-node-timeout").arg(600_000);
            trust.query_async::<()>(&mut self.client(index).await).await.unwrap();
        }
    }

    /// An administrator of one server.
    pub(crate) async fn client(&self, index: usize) -> MultiplexedConnection {
        self.admin(self.address(index)).await
    }

    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.servers[index].address()
    }

    pub(crate) fn password(&self) -> String {
        let password = std::fs::read_to_string(self.home.path().join("redis-admin.password")).unwrap();
        password.trim().to_owned()
    }

    async fn admin(&self, at: SocketAddr) -> MultiplexedConnection {
        let url = format!("redis://:{}@{at}", self.password());
        redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        std::fs::read_to_string(self.home.path().join("redis.url")).unwrap().trim().to_owned()
    }

    pub(crate) fn config(&self) -> Config {
        let url = Some(Secret::new(self.url()));
        Config { engine: Engine::Redis, url, l2_timeout: Duration::from_secs(1), ..Config::default() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks again until it is no "not yet" any more.
async fn done(what: &str, step: impl AsyncFn() -> Result<(), ProcessError>) {
    let doing = eventually(what, async || match step().await {
        Ok(()) => true,
        Err(ProcessError::NotYet(_)) => false,
        Err(error) => panic!("{what}: {error}"),
    });
    within(what, doing).await;
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], onefold_database::testing::free_port()))
}

struct TestHost;

impl Host for TestHost {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        let output = std::process::Command::new(&command.program).args(&command.arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Box::pin(std::future::ready(Ok(Output { success: output.status.success(), text })))
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin").join(program)).filter(|path| path.exists())
    }

    fn directory(&self, path: &Path, _account: Option<&Account>) -> Result<(), ProcessError> {
        std::fs::create_dir_all(path).map_err(|error| ProcessError::file("make", path, &error))
    }

    fn write(&self, path: &Path, text: &str, _account: Option<&Account>) -> Result<(), ProcessError> {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Ok(())
    }

    fn password(&self, path: &Path, account: Option<&Account>) -> Result<Secret, ProcessError> {
        if !path.exists() {
            self.write(path, Secret::random(12).unwrap().expose(), account)?;
        }
        Ok(Secret::new(std::fs::read_to_string(path).unwrap()))
    }
}
