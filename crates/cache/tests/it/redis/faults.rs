//! What the death of servers costs, by real signals.

use super::cluster::Cluster;
use super::server::Server;
use crate::history::{self, Things, named};
use crate::node::{System, eventually, patient};
use onefold_cache::conformance::put_one;
use onefold_cache::redis::Redis;
use onefold_cache::{CacheKey, Config, Engine, Error, Got, L2, Want};
use onefold_core::{Clock, Lsn, Secret};
use std::time::Duration;

/// Enough to lie on every server.
const THINGS: usize = 40;

/// Both nodes' L1 forgets at once, so that every read comes to L2.
fn through_l2(config: Config) -> Config {
    Config { l1_ttl: Duration::from_millis(1), l2_timeout: Duration::from_millis(200), ..config }
}

pub(super) fn hits(system: &System) -> f64 {
    system.nodes.iter().map(|node| node.metric(r#"onefold_cache_hits_total{level="l2"}"#)).sum()
}

pub(super) async fn hits_come(system: &System, why: &str) {
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
    history::make_versions(&system.postgres).await;
    let things = Things { live: named("live", THINGS), ..Things::default() };
    let lived = history::lived(&system.nodes, &things, async |history| {
        hits_come(&system, "the shared level answers").await;
        let master = cluster.some_master().await;
        cluster.kill(master);
        history.goes_on("requests go on").await;
        hits_come(&system, "the other shards answer").await;
        returns_as_a_replica(&mut cluster, master).await;
        hits_come(&system, "the promoted replica answers").await;
        for index in 0..cluster.len() {
            cluster.kill(index);
        }
        history.goes_on("requests go on without any").await;
        for index in (0..cluster.len()).rev() {
            cluster.restart(index).await;
        }
        hits_come(&system, "they answer again").await;
    });
    history::holds(&lived.await);
}

/// Whose invalidations nobody has applied yet.
async fn left(system: &System) -> Vec<String> {
    let left = "select convert_from(payload, 'UTF8') from onefold.outbox where not acknowledged";
    let rows = system.postgres.client().await.query(left, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_away_keeps_its_own_keys_alone_waiting() {
    let mut cluster = Cluster::start().await;
    cluster.takes_nobody_for_dead().await;
    let system = System::at(Clock::system(), 1, cluster.config()).await;
    let node = &system.nodes[0];
    let engine = Redis::start(&cluster.config(), node.database.clone(), &node.tasks).unwrap();
    eventually("all servers are reached", async || engine.is_whole()).await;
    let keys: Vec<CacheKey> = named("live", THINGS).iter().map(|id| history::DEAR.key(id.as_str())).collect();
    let master = cluster.some_master().await;
    cluster.kill(master);
    let mut missed = Vec::new();
    eventually("the others take theirs", async || {
        missed = engine.invalidate(&keys, Lsn(1)).await.unwrap_or_default();
        !missed.is_empty()
    })
    .await;
    let mut missed: Vec<String> = missed.iter().map(|key| key.text().to_owned()).collect();
    missed.sort_unstable();
    assert!(missed.len() < keys.len() / 2, "{missed:?}");

    // A thousand writers have died before who wrote what it holds, and then one for each key.
    let died = "insert into onefold.outbox (subject, payload)
                select 'cache', convert_to(key, 'UTF8') from unnest($1::text[]) as key, generate_series(1, $2)";
    let client = system.postgres.client().await;
    client.execute(died, &[&missed[..1].to_vec(), &1000]).await.unwrap();
    let all: Vec<&str> = keys.iter().map(CacheKey::text).collect();
    client.execute(died, &[&all, &1]).await.unwrap();
    eventually("what the others hold is applied", async || {
        let mut left = left(&system).await;
        left.sort_unstable();
        left.dedup();
        left == missed
    })
    .await;
    let away = || node.metric("onefold_cache_l2_open");
    eventually("it is told how much is away", async || away() > 0.0 && away() < 1.0).await;
    cluster.restart(master).await;
    eventually("the rest is applied", async || left(&system).await.is_empty()).await;
    eventually("nothing is away any more", async || away() == 0.0).await;
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
