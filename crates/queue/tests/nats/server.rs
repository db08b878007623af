//! Real NATS servers for one test: their own directories and ports, gone with the test.

use onefold_database::testing::free_ports;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The user and password of the test's clients.
pub(crate) const USER: &str = "onefold";
pub(crate) const PASSWORD: &str = "a-password-of-tests";

/// One server, or a cluster; killed when dropped.
#[derive(Debug)]
pub(crate) struct TestNats {
    servers: Vec<Option<Child>>,
    ports: Vec<u16>,
    directory: TempDir,
}

impl TestNats {
    /// One server with JetStream.
    pub(crate) fn one() -> Self {
        Self::with(1, |index, routes| Self::settings(index, routes) + "jetstream { store_dir: \"STORE\" }\n")
    }

    /// A cluster of three.
    pub(crate) fn three() -> Self {
        Self::with(3, |index, routes| Self::settings(index, routes) + "jetstream { store_dir: \"STORE\" }\n")
    }

    /// One server with other settings than these.
    pub(crate) fn only(settings: &str) -> Self {
        Self::with(1, |_, _| settings.to_owned())
    }

    fn settings(index: usize, routes: &str) -> String {
        format!(
            "server_name: \"nats-{}\"\nauthorization {{ user: {USER}, password: \"{PASSWORD}\" }}\n{routes}",
            index + 1
        )
    }

    fn with(count: usize, settings: impl Fn(usize, &str) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ports = free_ports(count * 2);
        let (ports, peers) = ports.split_at(count);
        for (index, port) in ports.iter().enumerate() {
            let routes: Vec<String> =
                peers.iter().map(|peer| format!("\"nats://127.0.0.1:{peer}\"")).collect();
            let routes = format!(
                "cluster {{ name: test, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
                peers[index],
                routes.join(", ")
            );
            let store = directory.path().join(format!("store-{index}")).display().to_string();
            let settings = settings(index, if count > 1 { &routes } else { "" }).replace("STORE", &store);
            let text = format!("listen: \"127.0.0.1:{port}\"\n{settings}");
            std::fs::write(directory.path().join(format!("{index}.conf")), text).expect("write settings");
        }
        let mut nats = Self { servers: (0..count).map(|_| None).collect(), ports: ports.to_vec(), directory };
        (0..count).for_each(|index| nats.start(index));
        nats
    }

    /// Starts a server, or starts it again on what it had.
    pub(crate) fn start(&mut self, index: usize) {
        let log = std::fs::File::create(self.directory.path().join(format!("{index}.log"))).expect("a log");
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(self.directory.path().join(format!("{index}.conf")))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start nats-server: is it installed?");
        self.servers[index] = Some(child);
    }

    /// Ends a server by SIGKILL.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.servers[index].take() {
            child.kill().expect("kill nats-server");
            child.wait().expect("wait for nats-server");
        }
    }

    /// Sends a signal, as `kill` names it, to each.
    pub(crate) fn signal(&self, name: &str) {
        for child in self.servers.iter().flatten() {
            let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
            assert!(sent.expect("run kill").success());
        }
    }

    pub(crate) fn kill_all(&mut self) {
        (0..self.servers.len()).for_each(|index| self.kill(index));
    }

    pub(crate) fn start_all(&mut self) {
        (0..self.servers.len()).for_each(|index| self.start(index));
    }

    /// Where clients connect, with these credentials.
    pub(crate) fn url_as(&self, user: &str) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("nats://{user}{}", hosts.join(","))
    }

    pub(crate) fn url(&self) -> String {
        self.url_as(&format!("{USER}:{PASSWORD}@"))
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        self.kill_all();
    }
}
