//! The cache on the Redis Cluster that `up` runs.

use crate::BINARY;
use crate::client::Client;
use crate::load::Load;
use onefold::testing::{Phase, TestSystem, eventually};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn roles(system: &TestSystem) -> (usize, usize) {
    let servers = system.nodes().into_iter().filter(|node| node.name.as_str().starts_with("redis-"));
    let servers: Vec<_> = servers.filter(|node| node.state == Phase::Ready).collect();
    let masters = servers.iter().filter(|node| node.role == "master").count();
    (masters, servers.len() - masters)
}

async fn whole(system: &TestSystem) {
    eventually(PATIENCE, "three masters and three replicas", async || roles(system) == (3, 3)).await;
}

/// What one node has loaded, another finds.
async fn shares(system: &TestSystem, code: &str) {
    eventually(PATIENCE, "a value is found in the shared level", async || {
        let mut hits = 0.0;
        for node in ["app-a", "app-b", "app-c"] {
            let url = format!("http://{}/links/{code}/stats", system.node(node).address);
            assert!(reqwest::get(url).await.unwrap().status().is_success());
            hits += system.metric(node, "onefold_cache_hits_total{level=\"l2\"}").await;
        }
        hits > 0.0
    })
    .await;
}

#[tokio::test]
async fn a_master_that_dies_under_load_costs_no_request_and_returns_as_a_replica() {
    let mut system = TestSystem::start_with(BINARY, "[cache]\nengine = \"redis\"\n").await;
    whole(&system).await;
    let doctor = String::from_utf8(system.command(&["doctor"]).output().unwrap().stdout).unwrap();
    assert_eq!(doctor.matches("ok    cache: Redis at").count(), 6, "{doctor}");
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    shares(&system, &code).await;

    let load = Load::start(&client, &code, 4);
    load.more(100).await;
    system.kill("redis-1");
    load.more(200).await;
    eventually(PATIENCE, "it returns as a replica", async || {
        let server = system.node("redis-1");
        server.restarts > 0 && server.state == Phase::Ready && server.role == "replica"
    })
    .await;
    load.more(100).await;
    load.stop().await;
    whole(&system).await;

    system.stop().await;
    system.start_again().await;
    whole(&system).await;
    shares(&system, &code).await;
}
