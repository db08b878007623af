//! One cluster of `up` on a state directory of its own, run by `examples/local.rs`.

use onefold_core::NodeName;
use onefold_supervisor::{state, status};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("examples/local");
    assert!(path.exists(), "{} is built by `cargo test` and `cargo nextest run`", path.display());
    path
}

/// One cluster on a state directory of its own; processes and state are gone with it.
pub(crate) struct Cluster {
    home: tempfile::TempDir,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_as(&[])
    }

    /// The same, where commits go on without a replica.
    pub(crate) fn start_that_continues() -> Self {
        Self::start_as(&["continue"])
    }

    fn start_as(told: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (child, lines) = run(&home.path().join("state"), 2, told);
        let mut cluster = Self { home, child, lines, seen: Vec::new() };
        cluster.hears("ready in");
        cluster
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Starts it again after its end.
    pub(crate) fn resume(&mut self) {
        self.resume_with(2);
    }

    pub(crate) fn resume_with(&mut self, replicas: u8) {
        (self.child, self.lines) = run(&self.state(), replicas, &[]);
        self.seen.clear();
        self.hears("ready in");
    }

    pub(crate) fn hears(&mut self, part: &str) {
        while !self.seen.iter().any(|line| line.contains(part)) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.seen.push(line.unwrap_or_else(|_| panic!("never heard `{part}`, but {:#?}", self.seen)));
        }
    }

    pub(crate) fn pid_of(&self, name: &str) -> u32 {
        let name: NodeName = name.parse().unwrap();
        let status = status::read(&self.state()).unwrap();
        status.processes.iter().find(|process| process.name == name).and_then(|process| process.pid).unwrap()
    }

    pub(crate) fn end(&mut self, name: &str) {
        signal(self.child.id(), name);
        self.child.wait().unwrap();
    }

    pub(crate) async fn admin(&self, server: &str) -> Client {
        connect(self.url(&format!("{server}-admin")).trim()).await.unwrap()
    }

    pub(crate) async fn application(&self, server: &str) -> Client {
        connect(self.url(server).trim()).await.unwrap()
    }

    /// The same, where it answers.
    pub(crate) async fn reach(&self, server: &str) -> Option<Client> {
        connect(self.url(server).trim()).await.ok()
    }

    /// The URL of a server, as nodes know it.
    pub(crate) fn url(&self, server: &str) -> String {
        std::fs::read_to_string(self.state().join(format!("secrets/{server}.url"))).unwrap()
    }

    /// What was heard so far counts no more.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Waits until both others stream from the primary.
    pub(crate) async fn both_follow(&self) {
        let follow =
            "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'quorum'";
        until(async || {
            let Some(primary) = self.reach(&format!("{}-admin", self.primary())).await else { return false };
            primary.query_one(follow, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 2)
        })
        .await;
    }

    /// What is published: the epoch, its primary, and whether that takes writes.
    pub(crate) fn epoch(&self) -> (u64, String, bool) {
        let text = std::fs::read_to_string(engines_home(&self.state()).join("epoch.json")).unwrap();
        let term: Value = serde_json::from_str(&text).unwrap();
        let primary = term["primary"].as_str().unwrap().to_owned();
        (term["epoch"].as_u64().unwrap(), primary, term["promoted"].as_bool().unwrap())
    }

    /// Whether the primary is published as one that may have acknowledged what no replica has.
    pub(crate) fn is_alone(&self) -> bool {
        let text = std::fs::read_to_string(engines_home(&self.state()).join("epoch.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["alone"] == true
    }

    /// Keeps a server from starting, or lets it.
    pub(crate) fn break_settings(&self, server: &str, broken: bool) {
        let path = engines_home(&self.state()).join(server).join("postgresql.conf");
        let text = std::fs::read_to_string(&path).unwrap().replace("nonsense = 1\n", "");
        let text = if broken { format!("{text}nonsense = 1\n") } else { text };
        std::fs::write(&path, text).unwrap();
    }

    /// Who the primary is by what is published.
    pub(crate) fn primary(&self) -> String {
        self.epoch().1
    }

    /// Waits until the primary of an epoch from `epoch` on takes writes, and answers its name.
    pub(crate) async fn promoted(&self, epoch: u64) -> String {
        until(async || matches!(self.epoch(), (now, _, true) if now >= epoch)).await;
        self.primary()
    }

    /// The role of each server, as `status` shows it.
    pub(crate) fn roles(&self) -> Vec<String> {
        status::read(&self.state()).unwrap().processes.into_iter().map(|process| process.role).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let engines = engines_home(&self.state());
        assert!(no_server_in(&engines) || std::thread::panicking(), "no server is left");
        let removed = state::remove(&self.state());
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
        assert!(!engines.exists() || std::thread::panicking(), "{} is removed", engines.display());
    }
}

fn run(state: &Path, replicas: u8, told: &[&str]) -> (Child, Receiver<String>) {
    let mut command = Command::new(program());
    // A developer's own sessions must not lead the servers astray.
    command.arg(state).arg(replicas.to_string()).args(told).envs([
        ("PGPASSWORD", "wrong"),
        ("PGOPTIONS", "-c nonsense=1"),
        ("PGSERVICE", "none"),
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (child, lines)
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

pub(crate) fn engines_home(state: &Path) -> PathBuf {
    let text = std::fs::read_to_string(state.join("engines.json")).unwrap();
    let remembered: serde_json::Value = serde_json::from_str(&text).unwrap();
    remembered["home"].as_str().unwrap().into()
}

/// Every process of a server works in its data directory. A killed one may need a moment.
#[expect(clippy::disallowed_methods, reason = "waits for a state with a deadline")]
fn no_server_in(engines: &Path) -> bool {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let working = processes.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
        if !working.into_iter().any(|directory| directory.starts_with(engines)) {
            return true;
        }
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
