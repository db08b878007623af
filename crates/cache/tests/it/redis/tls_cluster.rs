//! A cluster whose servers speak TLS, with the nodes and with each other: each is verified by the name by which the
//! cluster gives it.

use super::bad_input::{all_examined, problem};
use super::server::{PASSWORD, Server};
use super::tls::{Shown, in_step};
use crate::node::{eventually, patient};
use onefold_cache::redis::Unusable;
use onefold_cache::{Config, Engine};
use onefold_core::Secret;
use onefold_database::testing::free_ports;
use redis::cmd;
use std::path::PathBuf;

const MASTERS: [(u16, u16); 3] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

/// Three masters that call themselves `localhost`, as their certificate does.
struct Cluster {
    servers: Vec<Server>,
    /// Where they speak TLS.
    ports: Vec<u16>,
    ca: PathBuf,
    _home: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let shown = Shown::make(&home);
        let ports = free_ports(2 * MASTERS.len());
        let (ports, peers) = ports.split_at(MASTERS.len());
        let mut servers = Vec::new();
        for (port, peers) in ports.iter().zip(peers) {
            let cluster = format!(
                "dir {}\ncluster-enabled yes\ncluster-config-file nodes-{port}.conf\ncluster-port {peers}\ntls-cluster yes\n\
                 cluster-node-timeout 600000\ncluster-announce-hostname localhost\ncluster-preferred-endpoint-type hostname\n",
                home.path().display()
            );
            servers.push(Server::start(&(shown.settings(*port) + &cluster)).await);
        }
        let cluster = Self { servers, ports: ports.to_vec(), ca: shown.ca, _home: home };
        cluster.form(peers).await;
        cluster
    }

    async fn form(&self, peers: &[u16]) {
        for (server, (first, last)) in self.servers.iter().zip(MASTERS) {
            let mut client = server.client().await;
            for (port, peers) in self.ports.iter().zip(peers) {
                let mut meet = cmd("CLUSTER");
                meet.arg("MEET").arg("127.0.0.1").arg(port).arg(peers);
                meet.query_async::<()>(&mut client).await.unwrap();
            }
            let mut slots = cmd("CLUSTER");
            slots.arg("ADDSLOTSRANGE").arg(first).arg(last);
            slots.query_async::<()>(&mut client).await.unwrap();
        }
        for server in &self.servers {
            eventually("the cluster is formed", async || {
                let info: String =
                    cmd("CLUSTER").arg("INFO").query_async(&mut server.client().await).await.unwrap();
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            })
            .await;
        }
    }

    /// Has the servers give each other's addresses, or names.
    async fn prefer(&self, kind: &str) {
        for server in &self.servers {
            let mut prefer = cmd("CONFIG");
            prefer.arg("SET").arg("cluster-preferred-endpoint-type").arg(kind);
            prefer.query_async::<()>(&mut server.client().await).await.unwrap();
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://:{PASSWORD}@localhost:{}", self.ports[0])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_of_a_cluster_is_verified_by_the_name_that_the_cluster_gives() {
    let cluster = Cluster::start().await;
    let url = cluster.url("rediss-cluster");
    let ca = Some(cluster.ca.clone());
    eventually("all three are found, by their name", async || {
        let found = all_examined(&url, ca.clone()).await;
        found.len() == 3
            && found.iter().all(|one| one.outcome.is_ok() && one.server.starts_with("localhost:"))
    })
    .await;
    let secret = Some(Secret::new(url.clone()));
    in_step(Config { engine: Engine::Redis, url: secret, ca: ca.clone(), ..patient() }).await;

    // Of an address the certificate says nothing.
    cluster.prefer("ip").await;
    eventually("what it cannot vouch for is told", async || {
        let found = all_examined(&url, ca.clone()).await;
        let refused = |port: &u16| {
            let at = format!("127.0.0.1:{port}");
            found.iter().any(|one| one.server == at && matches!(one.outcome, Err(Unusable::Tls(_))))
        };
        cluster.ports.iter().all(refused)
    })
    .await;

    let strangers = all_examined(&url, None).await;
    assert!(matches!(strangers[0].outcome, Err(Unusable::Tls(_))), "{strangers:?}");
    let unencrypted = problem(&cluster.url("redis-cluster")).await;
    assert!(!matches!(unencrypted, Unusable::Entry), "{unencrypted:?}");
}
