//! Servers of etcd for one test, gone with it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold_coordination::{Config, Endpoint, Engine};
use onefold_database::testing::free_ports;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A cluster on this machine. Its members speak to each other through sockets in its directory.
pub(crate) struct Servers {
    home: TempDir,
    ports: Vec<u16>,
    members: Vec<Option<Child>>,
    extra: Vec<String>,
    scheme: &'static str,
}

impl Servers {
    /// One member, which is enough for what needs no majority.
    pub(crate) fn one() -> Self {
        Self::start(1, "http", |_| Vec::new())
    }

    pub(crate) fn three() -> Self {
        Self::start(3, "http", |_| Vec::new())
    }

    /// Starts members with more arguments, which may name files in their directory.
    pub(crate) fn start(
        members: usize,
        scheme: &'static str,
        extra: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let home = tempfile::Builder::new().prefix("onefold-etcd-").tempdir().unwrap();
        let extra = extra(home.path());
        let ports = free_ports(members);
        let mut servers = Self { home, ports, members: (0..members).map(|_| None).collect(), extra, scheme };
        (0..members).for_each(|member| servers.begin(member));
        servers
    }

    /// Starts a member that does not run.
    pub(crate) fn begin(&mut self, member: usize) {
        let client = format!("{}://127.0.0.1:{}", self.scheme, self.ports[member]);
        let peer = |member: usize| format!("unix://m{member}:0");
        let cluster = (0..self.members.len()).fold(String::new(), |mut cluster, member| {
            let comma = if member == 0 { "" } else { "," };
            write!(cluster, "{comma}m{member}={}", peer(member)).unwrap();
            cluster
        });
        let log = std::fs::File::create(self.home.path().join(format!("m{member}.log"))).unwrap();
        let child = Command::new("etcd")
            .args(["--name", &format!("m{member}"), "--data-dir", &format!("data{member}")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer(member), "--initial-advertise-peer-urls", &peer(member)])
            .args([
                "--initial-cluster",
                &cluster,
                "--logger",
                "zap",
                "--log-outputs",
                "stderr",
                "--log-level",
                "warn",
            ])
            .args(["--bcrypt-cost", "4"])
            .args(&self.extra)
            .current_dir(self.home.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd is installed");
        self.members[member] = Some(child);
    }

    /// Takes the only member back to a backup, as somebody does who has lost everything.
    pub(crate) fn restore(&mut self, backup: &str) {
        self.kill(0);
        std::fs::remove_dir_all(self.home.path().join("data0")).unwrap();
        let peer = "unix://m0:0";
        self.control(&[
            "snapshot",
            "restore",
            backup,
            "--name=m0",
            "--data-dir=data0",
            &format!("--initial-cluster=m0={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
        ]);
        self.begin(0);
    }

    /// Kills a member that runs.
    pub(crate) fn kill(&mut self, member: usize) {
        let mut child = self.members[member].take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn signal(&self, member: usize, signal: Signal) {
        let pid = self.members[member].as_ref().expect("it runs").id();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let url = |port| format!("{}://127.0.0.1:{port}", self.scheme);
        self.ports.iter().map(|port| url(port).parse().unwrap()).collect()
    }

    pub(crate) fn config(&self) -> Config {
        Config { engine: Engine::Etcd, endpoints: self.endpoints(), ..Config::default() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `etcdctl` on them, and answers what it said.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let endpoints: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let output = Command::new("etcdctl")
            .args(["--endpoints", &endpoints.join(",")])
            .args(arguments)
            .current_dir(self.home.path())
            .output()
            .expect("etcdctl is installed");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in self.members.iter_mut().flatten() {
            // A stopped one is killed all the same.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for member in 0..self.members.len() {
                let log = self.home.path().join(format!("m{member}.log"));
                eprintln!("--- member {member}:\n{}", std::fs::read_to_string(log).unwrap_or_default());
            }
        }
    }
}
