//! What nodes tell each other by Redis, and what the loss of that does.

use super::server::Server;
use crate::bus;
use crate::node::{System, eventually, patient};
use onefold_cache::redis::Redis;
use onefold_cache::{Config, Engine, L2 as _};
use onefold_core::{Clock, Secret};

fn config(server: &Server) -> Config {
    Config { engine: Engine::Redis, url: Some(Secret::new(server.url())), ..patient() }
}

async fn two_nodes(server: &Server) -> System {
    System::at(Clock::system(), 2, config(server)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_is_pushed_to_the_other_nodes() {
    let server = Server::start("").await;
    let system = two_nodes(&server).await;
    let node = &system.nodes[0];
    let engine = Redis::start(&config(&server), node.database.clone(), &node.tasks).unwrap();
    eventually("Redis is reached", async || engine.is_whole()).await;
    let hints = engine.hints().unwrap();
    bus::is_told_and_heard(&system.nodes, hints.listen(), |payload| hints.tell(payload)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_empties_the_nodes() {
    let server = Server::start("").await;
    let system = two_nodes(&server).await;
    let client = server.client().await;
    let cut = async || {
        let mut cut = redis::cmd("CLIENT");
        cut.arg("KILL").arg("TYPE").arg("pubsub");
        cut.query_async::<()>(&mut client.clone()).await.unwrap();
    };
    bus::a_loss_empties(&system.nodes, cut).await;
}
