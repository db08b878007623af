//! Sessions and lagging replicas: what makes this cache different from others.

use crate::node::{Node, anybody, eventually, make_things};
use onefold_cache::{Cached, Config};
use onefold_core::Clock;
use onefold_database::testing::TestCluster;
use onefold_database::{ServerRole, Session};
use rand::RngExt as _;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

/// Rounds of write and read, with one replica held back through half of them.
const ROUNDS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_held_back_never_shows_a_session_what_is_old() {
    let cluster = TestCluster::start(2).await;
    make_things(cluster.server(0)).await;
    let config = Config { dear_after: MINUTE, ..Config::default() };
    let nodes = Node::start_all(2, &cluster.config(), &config, &Clock::system()).await;
    for node in &nodes {
        eventually("the replicas are known", async || {
            let servers = node.database.servers();
            servers.iter().filter(|server| server.role == ServerRole::Replica).count() == 2
        })
        .await;
    }
    for round in 0..ROUNDS {
        match round % 60 {
            0 => cluster.pause_replay(1).await,
            30 => resume(&cluster).await,
            _ => {}
        }
        let things = if round % 2 == 0 { &CHEAP } else { &DEAR };
        let (id, value) = (format!("thing-{}", round % 5), round.to_string());
        for node in &nodes {
            node.get(&anybody(), things, &id).await;
        }
        let any = || &nodes[rand::rng().random_range(0..nodes.len())];
        let (session, writer) = (Session::new(), any());
        let mut tx = writer.write(&session, &id, &value).await;
        tx.attach(writer.cache.invalidation(&CHEAP, &id));
        tx.attach(writer.cache.invalidation(&DEAR, &id));
        tx.commit().await.unwrap();
        // Others load at the same time, from whichever replica.
        any().get(&anybody(), things, &id).await;
        for node in &nodes {
            assert_eq!(node.get(&session, things, &id).await.as_deref(), Some(&*value), "round {round}");
        }
    }
    for id in (0..5).map(|n| format!("thing-{n}")) {
        for things in [&CHEAP, &DEAR] {
            settled(&nodes, things, &id).await;
        }
    }
}

/// A standby may cancel even this statement, when it has to choose between it and its replay.
async fn resume(cluster: &TestCluster) {
    eventually("the replica goes on", async || {
        let replica = cluster.server(1).client().await;
        replica.batch_execute("select pg_wal_replay_resume()").await.is_ok()
    })
    .await;
}

/// Even those who ask for nothing get the newest value in the end, everywhere.
async fn settled(nodes: &[Node], things: &Cached<str, String>, id: &str) {
    let newest = "select value from thing where id = $1";
    let db = nodes[0].database.db(Session::new());
    let newest: String = db.read(onefold_database::Read::Strong).query_one(newest, &[&id]).await.unwrap();
    for node in nodes {
        eventually("the newest value is seen", async || {
            node.get(&anybody(), things, id).await.as_deref() == Some(&*newest)
        })
        .await;
    }
}
