//! A real Patroni cluster: one etcd, and members that each run a Postgres server.
//!
//! Its times are a tenth of Patroni's defaults, so that a test sees in ten seconds what takes a minute elsewhere.

mod member;

use super::{as_account, connect, free_ports, give_away};
use member::Member;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const READY_MAX: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

/// A running cluster under `synchronous_mode`: what was acknowledged is on two servers. Gone when dropped.
#[derive(Debug)]
pub struct TestPatroni {
    members: Vec<Member>,
    etcd: Child,
    _directory: TempDir,
}

impl TestPatroni {
    /// Starts it, and waits until one leads and all others stream from it.
    ///
    /// # Panics
    /// Where Patroni or etcd is not installed or does not start.
    pub async fn start(members: usize) -> Self {
        let directory = tempfile::Builder::new().prefix("onefold-patroni-").tempdir().expect("a directory");
        give_away(directory.path());
        let ports = free_ports(2 + 2 * members);
        let etcd = etcd(directory.path(), ports[0], ports[1]);
        answers(ports[0]).await;
        let of_members = ports[2..].chunks(2).zip(1..);
        let members = of_members
            .map(|(pair, number)| Member::start(directory.path(), number, pair, ports[0]))
            .collect();
        let cluster = Self { members, etcd, _directory: directory };
        cluster.settled(cluster.members.len()).await;
        cluster
    }

    /// One URL that names all servers, as superuser.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.members.iter().map(|member| format!("127.0.0.1:{}", member.postgres)).collect();
        format!("postgres://postgres@{}/postgres", hosts.join(","))
    }

    /// A URL of a member's REST API.
    pub fn rest(&self, member: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.members[member].rest)
    }

    /// A member's name, as Patroni knows it.
    pub fn name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    /// The member whose server is a primary, if one is.
    pub async fn leader(&self) -> Option<usize> {
        for (i, member) in self.members.iter().enumerate() {
            if says(&member.url(), "select not pg_is_in_recovery()").await {
                return Some(i);
            }
        }
        None
    }

    /// Waits until so many servers make one cluster: a primary, the others streaming from it, one of them synchronous.
    /// Answers the leader.
    ///
    /// # Panics
    /// Where that takes longer than a minute.
    pub async fn settled(&self, servers: usize) -> usize {
        let sql = format!(
            "select count(*) = {} and count(*) filter (where sync_state = 'sync') = 1 \
             from pg_stat_replication where state = 'streaming'",
            servers - 1
        );
        let waiting = async {
            loop {
                if let Some(leader) = self.leader().await
                    && says(&self.members[leader].url(), &sql).await
                {
                    return leader;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let settled = tokio::time::timeout(READY_MAX, waiting).await;
        settled.unwrap_or_else(|_| panic!("{servers} servers of Patroni do not become one cluster"))
    }

    /// Kills a member's Patroni and its server with all processes, as if the machine had gone.
    pub fn kill(&mut self, member: usize) {
        self.members[member].kill();
    }

    /// Starts a member again that was killed.
    pub fn start_again(&mut self, member: usize) {
        self.members[member].start_again();
    }
}

impl Drop for TestPatroni {
    fn drop(&mut self) {
        for member in &mut self.members {
            if std::thread::panicking() {
                eprintln!("--- {} said:\n{}", member.name, member.last_lines());
            }
            member.kill();
        }
        // It may be gone already.
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}

fn etcd(home: &Path, clients: u16, peers: u16) -> Child {
    let (clients, peers) = (format!("http://127.0.0.1:{clients}"), format!("http://127.0.0.1:{peers}"));
    let mut command = as_account("etcd");
    command.arg("--data-dir").arg(home.join("etcd")).args(["--name", "one", "--unsafe-no-fsync"]);
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("one={peers}")]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start etcd")
}

/// Patroni that finds no etcd asks again after five seconds only.
async fn answers(port: u16) {
    let waiting = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(READY_MAX, waiting).await.expect("etcd answers");
}

/// Whether a server answers true.
async fn says(url: &str, sql: &str) -> bool {
    let asking = async { connect(url).await?.query_one(sql, &[]).await };
    let answer = tokio::time::timeout(Duration::from_secs(2), asking).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|row| row.get(0)))
}
