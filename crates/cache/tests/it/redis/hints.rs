//! What nodes tell each other by Redis, and what the loss of that does; and a writer that dies before it could.

use super::server::Server;
use crate::node::{System, anybody, eventually, text};
use onefold_cache::{Cached, Config, Engine};
use onefold_core::{Clock, Secret};
use onefold_database::Session;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

/// L1 keeps entries for long, so that only an invalidation can be what drops them.
async fn two_nodes(server: &Server) -> System {
    let url = Some(Secret::new(server.url()));
    let config =
        Config { engine: Engine::Redis, url, dear_after: MINUTE, l1_ttl: MINUTE, ..Config::default() };
    System::at(Clock::system(), 2, config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_is_pushed_and_a_lost_connection_empties_the_nodes() {
    let server = Server::start("").await;
    let system = two_nodes(&server).await;
    let [writer, reader] = &system.nodes[..] else { unreachable!() };
    let key = CHEAP.key("a");
    for value in ["one", "two"] {
        reader.get(&anybody(), &CHEAP, "a").await;
        let before = reader.cache.generation_of(&key);
        writer.put(&Session::new(), &CHEAP, "a", value).await;
        eventually("it is heard", async || reader.cache.generation_of(&key) > before).await;
        assert_eq!(reader.get(&anybody(), &CHEAP, "a").await.as_deref(), Some(value));
    }
    // Behind the cache's back: it shows when the copy is gone.
    writer.write(&Session::new(), "a", "three").await.commit().await.unwrap();
    assert_eq!(reader.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("two"));
    let mut cut = redis::cmd("CLIENT");
    cut.arg("KILL").arg("TYPE").arg("pubsub");
    let cut: i64 = cut.query_async(&mut server.client().await).await.unwrap();
    assert_eq!(cut, 2, "one connection of each node is pushed to");
    for node in &system.nodes {
        eventually("the loss is seen", async || {
            node.metric(r#"onefold_cache_gaps_total{source="bus"}"#) >= 1.0
        })
        .await;
        eventually("the node is in step again", async || node.cache.is_in_step()).await;
    }
    assert_eq!(reader.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("three"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_dies_after_its_commit_is_caught_up_with() {
    let server = Server::start("").await;
    let system = two_nodes(&server).await;
    system.nodes[0].put(&Session::new(), &DEAR, "a", "old").await;
    for node in &system.nodes {
        assert_eq!(node.get(&anybody(), &DEAR, "a").await.as_deref(), Some("old"));
    }
    // What its transaction left behind: the write and the outbox row, and nobody who acts on them.
    let client = system.postgres.client().await;
    let payload = text(&DEAR, "a").into_bytes();
    let left = "with written as (update thing set value = 'new' where id = 'a')
                insert into onefold.outbox (subject, payload) values ('cache', $1)";
    client.query(left, &[&payload]).await.unwrap();
    for node in &system.nodes {
        eventually("every node sees the new value", async || {
            node.get(&anybody(), &DEAR, "a").await.as_deref() == Some("new")
        })
        .await;
    }
    eventually("the row is acknowledged", async || {
        let open = "select count(*) from onefold.outbox where not acknowledged";
        client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}
