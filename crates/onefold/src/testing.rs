//! A whole system of real processes for one test: its own ports, its own state, gone with the test.
//!
//! ```ignore
//! let system = TestSystem::start(env!("CARGO_BIN_EXE_links")).await;
//! let response = reqwest::get(system.url("/links")).await?;
//! system.kill("app-a");
//! ```

mod ports;
mod wait;

pub use onefold_database::testing::{TestPatroni, TestPostgres};
pub use onefold_supervisor::status::{Phase, ProcessStatus};
pub use wait::eventually;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold_core::TaskGroup;
use onefold_database::tokio_postgres::{self, Client, NoTls};
use onefold_supervisor::status::Status;
use ports::PortBlock;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const UP_SECONDS_MAX: u64 = 90;
const DOWN_SECONDS_MAX: u64 = 30;

/// A running system, stopped and removed when dropped.
#[derive(Debug)]
pub struct TestSystem {
    binary: PathBuf,
    child: Child,
    ports: PortBlock,
    home: TempDir,
    /// What `up` is told beside.
    arguments: &'static [&'static str],
}

impl TestSystem {
    /// Starts the system of this application's binary with its defaults, and waits until it is ready. Where
    /// `ONEFOLD_TEST_ENGINES` names engines (`redis,nats,etcd`), it runs on those.
    ///
    /// # Panics
    /// Where it does not come up; the panic carries what `up` said.
    pub async fn start(binary: impl AsRef<Path>) -> Self {
        Self::start_with(binary, "").await
    }

    /// The same, with a topology file of this text.
    ///
    /// # Panics
    /// As [`TestSystem::start`].
    pub async fn start_with(binary: impl AsRef<Path>, topology: &str) -> Self {
        Self::start_told(binary, topology, &[]).await
    }

    /// The same, with connections that `chaos` can break.
    ///
    /// # Panics
    /// As [`TestSystem::start`].
    pub async fn start_breakable(binary: impl AsRef<Path>, topology: &str) -> Self {
        Self::start_told(binary, topology, &["--chaos"]).await
    }

    async fn start_told(
        binary: impl AsRef<Path>,
        topology: &str,
        arguments: &'static [&'static str],
    ) -> Self {
        let binary = binary.as_ref().to_owned();
        let ports = PortBlock::take();
        let home = tempfile::Builder::new().prefix("onefold-test-").tempdir().expect("make a directory");
        std::fs::write(home.path().join("Onefold.toml"), topology).expect("write the topology");
        let child = up(&binary, home.path(), &ports, arguments);
        let mut system = Self { binary, child, ports, home, arguments };
        system.wait_until_ready().await;
        system
    }

    /// Starts `up` again on the same state, after [`TestSystem::stop`] or a kill of the supervisor.
    ///
    /// # Panics
    /// As [`TestSystem::start`].
    pub async fn start_again(&mut self) {
        self.child = up(&self.binary, self.home.path(), &self.ports, self.arguments);
        self.wait_until_ready().await;
    }

    /// A URL at the balancer.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.first())
    }

    /// A URL at the console.
    pub fn console(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.first() + 1)
    }

    /// A URL at the observer's OTLP over HTTP.
    pub fn otlp(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.first() + 3)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// What `up` has printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.home.path().join("up.out")).unwrap_or_default()
    }

    /// The log of a node or engine so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.state().join("logs").join(format!("{name}.log"))).unwrap_or_default()
    }

    /// Runs a command of the application's binary on this system, and answers its standard output.
    ///
    /// # Panics
    /// Where it fails; the panic carries its standard error.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("run the binary");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The same command, to be started by the test itself.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.home.path());
        command
    }

    /// Every node and engine, as `status --json` tells.
    ///
    /// # Panics
    /// Where `status` fails.
    pub fn nodes(&self) -> Vec<ProcessStatus> {
        let status: Status = serde_json::from_str(&self.run(&["status", "--json"])).expect("status in JSON");
        status.processes
    }

    /// One node or engine by name.
    ///
    /// # Panics
    /// Where there is none of this name.
    pub fn node(&self, name: &str) -> ProcessStatus {
        self.nodes()
            .into_iter()
            .find(|node| node.name.as_str() == name)
            .unwrap_or_else(|| panic!("no node {name}"))
    }

    /// A metric of a node, summed over its labels; zero where it has not been counted yet.
    ///
    /// # Panics
    /// Where the node does not answer within half a minute.
    pub async fn metric(&self, name: &str, metric: &str) -> f64 {
        let admin = self.node(name).admin.expect("a node, not an engine");
        let mut text = String::new();
        // A busy machine may take longer than one question waits.
        eventually(Duration::from_secs(30), &format!("metrics of {name}"), async || {
            let answer = crate::probe::get(admin, "/metrics").await;
            answer.map(|(_, told)| text = told).is_ok()
        })
        .await;
        let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
        let values =
            lines.filter(|rest| rest.starts_with([' ', '{'])).filter_map(|rest| rest.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// A superuser's connection to one Postgres server, for what only the database can tell.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn postgres(&self, name: &str) -> Client {
        let path = self.state().join("secrets").join(format!("{name}-admin.url"));
        let url =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (client, connection) = tokio_postgres::connect(url.trim(), NoTls).await.expect("connect");
        TaskGroup::new().spawn("connection", async move {
            // It ends with its client, or with the server that a test kills.
            let _ = connection.await;
        });
        client
    }

    /// The same, to whichever server is the primary.
    ///
    /// # Panics
    /// As [`TestSystem::postgres`].
    pub async fn primary(&self) -> Client {
        let primary = self.nodes().into_iter().find(|node| node.role == "primary").expect("a primary");
        self.postgres(primary.name.as_str()).await
    }

    /// Sends a signal to a node or engine.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn signal(&self, name: &str, signal: Signal) {
        let pid = self.node(name).pid.expect("the node runs");
        kill(raw(pid), signal).expect("send the signal");
    }

    /// Kills a node or engine with `SIGKILL`; the supervisor starts it again.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&self, name: &str) {
        self.signal(name, Signal::SIGKILL);
    }

    /// The supervisor's process id.
    pub fn supervisor(&self) -> u32 {
        self.child.id()
    }

    /// Stops the system as Ctrl-C does, and waits for its end.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub async fn stop(&mut self) {
        self.signal_supervisor(Signal::SIGINT);
        self.wait_until_gone().await;
    }

    /// Sends a signal to the supervisor itself.
    ///
    /// # Panics
    /// Never: process ids are positive.
    pub fn signal_supervisor(&self, signal: Signal) {
        // It may have gone by itself.
        let _ = kill(raw(self.child.id()), signal);
    }

    /// Waits until the supervisor has ended, and answers its exit status.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub async fn wait_until_gone(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        let child = &mut self.child;
        eventually(Duration::from_secs(DOWN_SECONDS_MAX), "the supervisor ends", async || {
            status = child.try_wait().expect("wait");
            status.is_some()
        })
        .await;
        status.expect("it has ended")
    }

    async fn wait_until_ready(&mut self) {
        let out = self.home.path().join("up.out");
        let child = &mut self.child;
        eventually(Duration::from_secs(UP_SECONDS_MAX), "the system is ready", async || {
            let said = std::fs::read_to_string(&out).unwrap_or_default();
            if let Some(status) = child.try_wait().expect("wait") {
                panic!("up ended with {status}: {said}");
            }
            said.contains("ready in ")
        })
        .await;
    }
}

/// Sends a signal to processes as they were when they were asked for, all at once. Those that have gone are passed over:
/// the supervisor puts an end to what hangs for too long.
///
/// # Panics
/// Never: process ids are positive.
pub fn signal_all(processes: &[ProcessStatus], signal: Signal) {
    for pid in processes.iter().filter_map(|process| process.pid) {
        let _ = kill(raw(pid), signal);
    }
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

impl Drop for TestSystem {
    fn drop(&mut self) {
        self.signal_supervisor(Signal::SIGINT);
        let ended = wait::until_blocking(Duration::from_secs(DOWN_SECONDS_MAX), || {
            self.child.try_wait().is_ok_and(|status| status.is_some())
        });
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- up said:\n{}", self.output());
        }
        let _ =
            self.command(&["down", "--remove-state"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Names the engines that every system of a test run uses, as `up --engines` does.
const ENGINES: &str = "ONEFOLD_TEST_ENGINES";

#[expect(clippy::disallowed_methods, reason = "the environment is how a test run is told what it runs on")]
fn engines() -> Option<String> {
    std::env::var(ENGINES).ok().filter(|engines| !engines.is_empty())
}

fn up(binary: &Path, home: &Path, ports: &PortBlock, arguments: &[&str]) -> Child {
    let engines = engines().map(|engines| ["--engines".to_owned(), engines]);
    let out = std::fs::File::create(home.join("up.out")).expect("make the output file");
    Command::new(binary)
        .args(["up", "--topology", "Onefold.toml", "--state", "state", "--port", &ports.first().to_string()])
        .args(engines.into_iter().flatten())
        .args(arguments)
        .current_dir(home)
        .stdin(Stdio::null())
        .stderr(out.try_clone().expect("clone the output file"))
        .stdout(out)
        .spawn()
        .expect("start the binary")
}
