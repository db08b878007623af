//! One Patroni with its server: its configuration, and its end.

use super::super::{as_account, binary, give_away};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Child;

const LINES_MAX: usize = 12;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The port of its server.
    pub(super) postgres: u16,
    /// The port of its REST API.
    pub(super) rest: u16,
    home: PathBuf,
    child: Child,
}

impl Member {
    pub(super) fn start(home: &Path, number: usize, ports: &[u16], etcd: u16) -> Self {
        let (name, postgres, rest) = (format!("n{number}"), ports[0], ports[1]);
        let configuration = home.join(format!("{name}.yml"));
        std::fs::write(&configuration, text(&name, home, postgres, rest, etcd))
            .expect("write the configuration");
        give_away(&configuration);
        let child = patroni(home, &name);
        Self { name, postgres, rest, home: home.to_owned(), child }
    }

    pub(super) fn start_again(&mut self) {
        self.child = patroni(&self.home, &self.name);
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.postgres)
    }

    /// Patroni first, which would start its server again; then the server, which runs in a session of its own.
    pub(super) fn kill(&mut self) {
        // Each of them may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let file = self.home.join(&self.name).join("postmaster.pid");
        let Ok(text) = std::fs::read_to_string(file) else { return };
        let Some(postmaster) = text.lines().next().and_then(|line| line.trim().parse().ok()) else { return };
        // Backends outlive a killed postmaster until they notice; so they are looked up before.
        let children = children(postmaster);
        for pid in std::iter::once(postmaster).chain(children) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    pub(super) fn last_lines(&self) -> String {
        let said = std::fs::read_to_string(self.home.join(format!("{}.log", self.name))).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }
}

fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Where the test is killed itself, Patroni is told to stop, and stops its server.
fn patroni(home: &Path, name: &str) -> Child {
    let log =
        OpenOptions::new().create(true).append(true).open(home.join(format!("{name}.log"))).expect("a log");
    let mut command = as_account("setpriv");
    command.args(["--pdeathsig", "TERM", "patroni"]).arg(home.join(format!("{name}.yml")));
    command.stderr(log.try_clone().expect("clone the log")).stdout(log).spawn().expect("start patroni")
}

/// `ttl` is at least `loop_wait` and twice `retry_timeout`, as Patroni asks for.
fn text(name: &str, home: &Path, postgres: u16, rest: u16, etcd: u16) -> String {
    let (home, postgres_binary) = (home.display(), PathBuf::from(binary("postgres")));
    let binaries = postgres_binary.parent().unwrap_or(Path::new("/usr/bin")).display();
    format!(
        r#"scope: test
name: {name}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{hosts: ["127.0.0.1:{etcd}"]}}
watchdog: {{mode: "off"}}
bootstrap:
  dcs:
    ttl: 8
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql: {{use_pg_rewind: true}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, {{wal-segsize: "1"}}, data-checksums, no-sync]
postgresql:
  listen: "127.0.0.1:{postgres}"
  connect_address: "127.0.0.1:{postgres}"
  data_dir: {home}/{name}
  bin_dir: {binaries}
  pgpass: {home}/{name}.pgpass
  pg_hba: [host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]
  basebackup: [{{checkpoint: fast}}]
  authentication:
    superuser: {{username: postgres}}
    replication: {{username: replicator}}
  parameters: {{unix_socket_directories: "", fsync: "off", shared_buffers: 16MB}}
"#
    )
}
