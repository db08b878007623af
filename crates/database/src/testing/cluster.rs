//! A primary with streaming replicas, under the settings that production runs with.

use super::{TestPostgres, free_ports, fresh_copy};
use crate::config::{Config, ServerEntry};
use onefold_core::Secret;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

const ZONES: [&str; 3] = ["a", "b", "c"];
const WAIT_MAX: Duration = Duration::from_secs(20);

/// One primary, `n1`, and its replicas `n2`, `n3` …, in the zones a, b, c in turn.
///
/// A commit is acknowledged once any one replica has applied it. All servers carry the same settings, so that
/// each may become primary.
#[derive(Debug)]
pub struct TestCluster {
    servers: Vec<TestPostgres>,
}

impl TestCluster {
    /// Starts the cluster and waits until all replicas stream.
    ///
    /// # Panics
    /// Where Postgres is not installed or does not start.
    pub async fn start(replicas: usize) -> Self {
        let ports: Vec<u16> = free_ports(replicas + 1);
        let servers = ports.iter().enumerate().map(|(i, port)| {
            let directory = fresh_copy();
            let mut settings = settings(replicas);
            settings.push(format!("cluster_name={}", name(i)));
            if i > 0 {
                make_standby(&directory.path().join("data"), &conninfo(ports[0], i));
                settings.push(format!("primary_slot_name={}", name(i)));
            }
            TestPostgres::launch_at(directory, *port, &settings)
        });
        let cluster = Self { servers: servers.collect() };
        cluster.join_replicas().await;
        cluster
    }

    async fn join_replicas(&self) {
        self.servers[0].answers().await;
        let primary = self.servers[0].client().await;
        for i in 1..self.servers.len() {
            let slot = name(i);
            primary
                .execute("select pg_create_physical_replication_slot($1, true)", &[&slot])
                .await
                .expect("a slot");
        }
        let streaming = i64::try_from(self.servers.len() - 1).expect("few replicas");
        let sql = "select count(*) = $1 from pg_stat_replication where state = 'streaming'";
        until("all replicas stream", async || {
            primary.query_one(sql, &[&streaming]).await.is_ok_and(|row| row.get(0))
        })
        .await;
        for server in &self.servers {
            server.answers().await;
        }
    }

    /// What a node of this cluster is told, with a name and a zone for each server.
    ///
    /// # Panics
    /// Never: the names are names.
    pub fn config(&self) -> Config {
        let entry = |(i, server): (usize, &TestPostgres)| ServerEntry {
            name: name(i).parse().expect("a name"),
            zone: Some(ZONES[i % ZONES.len()].parse().expect("a zone")),
            url: Secret::new(server.url()),
        };
        Config { servers: self.servers.iter().enumerate().map(entry).collect(), ..Config::default() }
    }

    /// One of the servers; the first was started as the primary.
    pub fn server(&self, index: usize) -> &TestPostgres {
        &self.servers[index]
    }

    /// One of the servers, to kill it.
    pub fn server_mut(&mut self, index: usize) -> &mut TestPostgres {
        &mut self.servers[index]
    }

    /// Holds a replica back: it receives, and shows nothing new.
    ///
    /// # Panics
    /// Where the replica does not answer.
    pub async fn pause_replay(&self, index: usize) {
        let replica = self.servers[index].client().await;
        replica.batch_execute("select pg_wal_replay_pause()").await.expect("pause");
        until("replay is paused", async || {
            let state = replica.query_one("select pg_get_wal_replay_pause_state()", &[]).await;
            state.is_ok_and(|row| row.get::<_, &str>(0) == "paused")
        })
        .await;
    }

    /// Lets a replica go on.
    ///
    /// # Panics
    /// Where the replica does not answer.
    pub async fn resume_replay(&self, index: usize) {
        let replica = self.servers[index].client().await;
        replica.batch_execute("select pg_wal_replay_resume()").await.expect("resume");
    }

    /// Makes a replica the primary, and the other replicas follow it.
    ///
    /// # Panics
    /// Where one of them does not answer.
    pub async fn promote(&self, index: usize, followers: &[usize]) {
        let promoted = self.servers[index].client().await;
        promoted.batch_execute("select pg_promote(true, 20)").await.expect("promote");
        for &follower in followers {
            let slot = name(follower);
            promoted
                .execute("select pg_create_physical_replication_slot($1, true)", &[&slot])
                .await
                .expect("a slot");
            let replica = self.servers[follower].client().await;
            let conninfo = conninfo(self.servers[index].port, follower);
            let text = format!("alter system set primary_conninfo = '{conninfo}'");
            replica.batch_execute(&text).await.expect("alter system");
            replica.batch_execute("select pg_reload_conf()").await.expect("reload");
        }
    }
}

/// The settings of `3-protocols`, all of them on every server from birth.
fn settings(replicas: usize) -> Vec<String> {
    let names: Vec<String> = (0..=replicas).map(name).collect();
    let synchronous = if replicas == 0 { String::new() } else { format!("ANY 1 ({})", names.join(", ")) };
    [
        format!("synchronous_standby_names={synchronous}"),
        "synchronous_commit=remote_apply".to_owned(),
        "hot_standby_feedback=off".to_owned(),
        "max_standby_streaming_delay=500ms".to_owned(),
        "max_slot_wal_keep_size=256MB".to_owned(),
        "wal_retrieve_retry_interval=50ms".to_owned(),
    ]
    .into()
}

fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

fn conninfo(primary: u16, standby: usize) -> String {
    format!("host=127.0.0.1 port={primary} user=postgres application_name={}", name(standby))
}

/// The primary's address stands in the file that ALTER SYSTEM writes: the command line would outrank it.
fn make_standby(data: &Path, conninfo: &str) {
    std::fs::write(data.join("standby.signal"), "").expect("write standby.signal");
    super::give_away(&data.join("standby.signal"));
    let mut settings = OpenOptions::new().append(true).open(data.join("postgresql.auto.conf")).expect("open");
    writeln!(settings, "primary_conninfo = '{conninfo}'").expect("write postgresql.auto.conf");
}

/// Waits until `met` says so.
async fn until(what: &str, met: impl AsyncFn() -> bool) {
    let waiting = async {
        while !met().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT_MAX, waiting).await.is_ok(), "waited in vain until {what}");
}
