//! The contract of the shared level.

use super::cluster::Cluster;
use super::server::{Server, age};
use crate::node::{System, eventually, patient};
use onefold_cache::conformance::{self, Subject};
use onefold_cache::redis::Redis;
use onefold_cache::{Config, Engine, L2};
use onefold_core::process::BoxFuture;
use onefold_core::{Lsn, Secret};
use redis::aio::MultiplexedConnection;
use std::time::Duration;

struct OnRedis {
    engine: Redis,
    /// One to each master.
    clients: Vec<MultiplexedConnection>,
    system: System,
}

impl Subject for OnRedis {
    fn engine(&self) -> &dyn L2 {
        &self.engine
    }

    fn forget(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for client in &self.clients {
                redis::cmd("FLUSHALL").query_async::<()>(&mut client.clone()).await.unwrap();
            }
        })
    }

    fn age(&self, by: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for client in &self.clients {
                age(&mut client.clone(), by).await;
            }
        })
    }

    fn flushed(&self) -> BoxFuture<'_, Lsn> {
        Box::pin(async { self.system.nodes[0].database.flush_lsn().await.unwrap() })
    }
}

async fn keeps_the_contract(url: String, clients: Vec<MultiplexedConnection>) {
    let system = System::start(1).await;
    let node = &system.nodes[0];
    let url = Some(Secret::new(url));
    let config = Config { engine: Engine::Redis, url, ..patient() };
    let engine = Redis::start(&config, node.database.clone(), &node.tasks).unwrap();
    eventually("Redis is reached", async || engine.problem().is_none() && engine.is_whole()).await;
    conformance::all(&OnRedis { engine, clients, system }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_redis_keeps_the_contract() {
    let server = Server::start("").await;
    let client = server.client().await;
    keeps_the_contract(server.url(), vec![client]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    let cluster = Cluster::start().await;
    cluster.takes_nobody_for_dead().await;
    let mut masters = Vec::new();
    for index in cluster.masters().await {
        masters.push(cluster.client(index).await);
    }
    keeps_the_contract(cluster.url(), masters).await;
}
