//! What the death of servers costs, by real signals.

use super::cluster::Cluster;
use super::server::Server;
use crate::node::{Node, System, anybody, eventually, patient};
use futures_util::future::join_all;
use onefold_cache::conformance::put_one;
use onefold_cache::redis::Redis;
use onefold_cache::{CacheKey, Cached, Config, Engine, Error, Got, L2, Want};
use onefold_core::{Clock, Secret};
use onefold_database::Session;
use rand::RngExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const THINGS: Cached<str, String> = Cached::new("things", Duration::from_mins(1)).dear();
/// Enough to lie on every server.
const IDS: usize = 40;

/// Reads and writes until told to stop. A read that fails, or a session that is shown less than it wrote, fails the test.
struct Load<'a> {
    node: &'a Node,
    stop: &'a AtomicBool,
    requests: &'a AtomicUsize,
}

impl Load<'_> {
    async fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let id = format!("thing-{}", rand::rng().random_range(0..IDS));
            self.node.get(&anybody(), &THINGS, &id).await;
            if rand::rng().random_range(0..8) == 0 {
                let (session, value) = (Session::new(), rand::random::<u64>().to_string());
                let id = format!("own-{}", rand::random::<u64>());
                self.node.get(&anybody(), &THINGS, &id).await;
                self.node.put(&session, &THINGS, &id, &value).await;
                let seen = self.node.get(&session, &THINGS, &id).await;
                assert_eq!(seen.as_deref(), Some(&*value), "a session reads what it wrote");
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Both nodes' L1 forgets at once, so that every read comes to L2.
fn through_l2(config: Config) -> Config {
    Config { l1_ttl: Duration::from_millis(1), l2_timeout: Duration::from_millis(200), ..config }
}

fn hits(system: &System) -> f64 {
    system.nodes.iter().map(|node| node.metric(r#"onefold_cache_hits_total{level="l2"}"#)).sum()
}

async fn hits_come(system: &System, why: &str) {
    let before = hits(system);
    eventually(why, async || hits(system) > before + 20.0).await;
}

/// Where the others are too slow to agree on a successor, a master returns as one, and empty.
async fn returns_as_a_replica(cluster: &mut Cluster, master: usize) {
    const LEARNS_MAX: Duration = Duration::from_secs(10);
    for _ in 0..3 {
        cluster.restart(master).await;
        let learns = async {
            while cluster.role(master).await != "replica" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(LEARNS_MAX, learns).await.is_ok() {
            return;
        }
        cluster.kill(master);
    }
    panic!("its replica never took over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_that_die_cost_no_request_and_fail_over() {
    let mut cluster = Cluster::start().await;
    let system = System::at(Clock::system(), 2, through_l2(cluster.config())).await;
    let (stop, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    let loads: Vec<Load<'_>> = system
        .nodes
        .iter()
        .flat_map(|node| [node, node])
        .map(|node| Load { node, stop: &stop, requests: &requests })
        .collect();
    let faults = async {
        hits_come(&system, "the shared level answers").await;
        let master = cluster.some_master().await;
        cluster.kill(master);
        let before = requests.load(Ordering::Relaxed);
        eventually("requests go on", async || requests.load(Ordering::Relaxed) > before + 100).await;
        hits_come(&system, "the other shards answer").await;
        returns_as_a_replica(&mut cluster, master).await;
        hits_come(&system, "the promoted replica answers").await;
        for index in 0..cluster.len() {
            cluster.kill(index);
        }
        let before = requests.load(Ordering::Relaxed);
        eventually("requests go on without any", async || requests.load(Ordering::Relaxed) > before + 100)
            .await;
        for index in (0..cluster.len()).rev() {
            cluster.restart(index).await;
        }
        hits_come(&system, "they answer again").await;
        stop.store(true, Ordering::Relaxed);
    };
    Box::pin(futures_util::future::join(join_all(loads.iter().map(Load::run)), faults)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_found_again_under_other_ports() {
    let mut cluster = Cluster::start().await;
    cluster.move_elsewhere().await;
    let system = System::at(Clock::system(), 1, cluster.config()).await;
    let node = &system.nodes[0];
    let engine = Redis::start(&cluster.config(), node.database.clone(), &node.tasks).unwrap();
    eventually("all servers are reached", async || engine.is_whole()).await;
    let mut roles = Vec::new();
    for index in 0..cluster.len() {
        roles.push(cluster.role(index).await);
    }
    assert_eq!(roles.iter().filter(|role| *role == "master").count(), 3, "{roles:?}");
}

/// A value is filled, and then the server loses its memory, its connection or its mind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_started_again_serves_nothing_of_before() {
    // It keeps what it had: the invalidations after its last snapshot would be lost.
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(&format!("dir {}", directory.path().display())).await;
    let system = System::start(1).await;
    let node = &system.nodes[0];
    let url = Some(Secret::new(server.url()));
    let config = Config { engine: Engine::Redis, url, ..patient() };
    let engine = Redis::start(&config, node.database.clone(), &node.tasks).unwrap();
    eventually("it is reached", async || engine.is_whole()).await;
    let key = CacheKey::new("faults", "kept");
    put_one(&engine, &key, b"old").await;
    assert!(matches!(engine.get(&key, Want::Value).await, Ok(Got::Hit(_))));
    redis::cmd("SAVE").query_async::<()>(&mut server.client().await).await.unwrap();
    let flushed = node.database.flush_lsn().await.unwrap();

    server.kill();
    eventually("the loss is noticed", async || {
        matches!(engine.get(&key, Want::Value).await, Err(Error::Away { .. }))
    })
    .await;
    server.restart().await;
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut server.client().await).await.unwrap();
    assert!(keys > 0, "it remembers");
    eventually("it is reached again", async || engine.is_whole()).await;
    match engine.get(&key, Want::Value).await.unwrap() {
        Got::Leased { lease, need, stale } => {
            assert!(need >= flushed && stale.is_none());
            engine.release(&key, lease).await.unwrap();
        }
        other => panic!("what it remembers may be old: {other:?}"),
    }

    put_one(&engine, &key, b"new").await;
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut server.client().await).await.unwrap();
    engine.invalidate(std::slice::from_ref(&key), flushed).await.expect("scripts are brought back");

    let config = Config { l2_timeout: Duration::from_millis(200), ..config };
    let hasty = Redis::start(&config, node.database.clone(), &node.tasks).unwrap();
    eventually("it is reached once more", async || hasty.get(&key, Want::Value).await.is_ok()).await;
    server.signal("-STOP");
    eventually("a server that hangs is left alone: nobody waits for it", async || {
        matches!(hasty.get(&key, Want::Value).await, Err(Error::Away { .. }))
    })
    .await;
    server.signal("-CONT");
    eventually("it is back", async || hasty.get(&key, Want::Value).await.is_ok()).await;
}
