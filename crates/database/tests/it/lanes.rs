//! Lanes: shared, exclusive, listening.

use crate::node::{Node, config, until};
use onefold_core::Secret;
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Heard, Read};
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn hints_arrive_and_a_lost_connection_is_a_gap() {
    let server = TestPostgres::start().await;
    let node = Node::start(&server.url()).await;
    let mut heard = node.database.listen("test");
    let mut next = async || timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Heard::Subscribed);
    node.database.notify("test", "one".to_owned());
    assert_eq!(next().await, Heard::Payload("one".to_owned()));

    let end = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'";
    server.client().await.batch_execute(end).await.unwrap();
    assert_eq!(next().await, Heard::Gap);
    assert_eq!(next().await, Heard::Subscribed);
    node.database.notify("test", "two".to_owned());
    assert_eq!(next().await, Heard::Payload("two".to_owned()));
}

#[tokio::test]
async fn equal_hints_that_wait_are_sent_once() {
    let server = TestPostgres::start().await;
    let node = Node::start(&server.url()).await;
    let mut heard = node.database.listen("test");
    assert_eq!(timeout(PATIENCE, heard.recv()).await.unwrap(), Some(Heard::Subscribed));
    // Nothing else runs until the first await, so that all wait together.
    for _ in 0..100 {
        node.database.notify("test", "same".to_owned());
    }
    node.database.notify("test", "last".to_owned());
    let mut payloads = Vec::new();
    while payloads.len() < 2 {
        payloads.push(timeout(PATIENCE, heard.recv()).await.unwrap().unwrap());
    }
    payloads.sort_by_key(|heard| format!("{heard:?}"));
    assert_eq!(payloads, [Heard::Payload("last".to_owned()), Heard::Payload("same".to_owned())]);
}

#[tokio::test]
async fn a_slow_statement_leaves_the_shared_lane() {
    let server = TestPostgres::start().await;
    let config = Config { url: Some(Secret::new(server.url())), shared_connections: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    let backend = async |sleep: f64| -> i32 {
        let sql = "select pg_backend_pid() from pg_sleep($1)";
        node.db().read(Read::Strong).query_one(sql, &[&sleep]).await.unwrap()
    };
    let shared: i32 = node.db().read(Read::Strong).query_one("select pg_backend_pid()", &[]).await.unwrap();
    assert_eq!(backend(0.05).await, shared, "its first run is not known to be slow");
    assert_ne!(backend(0.05).await, shared, "its second has a connection of its own");
}

#[tokio::test]
async fn a_dropped_call_on_the_shared_lane_harms_no_other() {
    let server = TestPostgres::start().await;
    let config = Config { url: Some(Secret::new(server.url())), shared_connections: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    let db = node.db();
    let reader = db.read(Read::Strong);
    let slow = reader.query::<i32>("select 1 from pg_sleep(0.3)", &[]);
    assert!(timeout(Duration::from_millis(50), slow).await.is_err());
    let calls = (0..20).map(|i: i32| {
        let reader = reader.clone();
        async move { reader.query_one::<i32>("select $1::int", &[&i]).await.unwrap() }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers, (0..20).collect::<Vec<i32>>());
}

#[tokio::test]
async fn a_call_dropped_on_an_exclusive_connection_is_cancelled_before_the_next_user() {
    let server = TestPostgres::start().await;
    let config = Config { url: Some(Secret::new(server.url())), exclusive_connections_max: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    let exclusive = node.database.exclusive().await.unwrap();
    let sleeping = exclusive.batch_execute("select pg_sleep(300)");
    assert!(timeout(Duration::from_millis(50), sleeping).await.is_err());
    drop(exclusive);
    let exclusive = node.database.exclusive().await.unwrap();
    exclusive.batch_execute("select 1").await.unwrap();
    let asleep =
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active'";
    let client = server.client().await;
    until("nothing sleeps", async || client.query_one(asleep, &[]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
}

#[tokio::test]
async fn a_stream_comes_row_by_row_and_can_be_left() {
    let server = TestPostgres::start().await;
    let node = Node::start(&server.url()).await;
    let db = node.db();
    let endless = "select generate_series(1, 100000000)";
    let stream = db.read(Read::Strong).query_stream::<i32>(endless, &[]).await.unwrap();
    let first: Vec<i32> =
        futures_util::StreamExt::collect::<Vec<_>>(futures_util::StreamExt::take(stream, 3))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
    assert_eq!(first, [1, 2, 3]);
    let running = "select count(*) from pg_stat_activity where query like '%100000000%' and state = 'active' and pid <> pg_backend_pid()";
    let client = server.client().await;
    until("it is cancelled", async || client.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
}
