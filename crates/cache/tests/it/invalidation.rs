//! What an invalidation does, however it comes about.

use crate::node::{System, anybody, eventually, text, within};
use onefold_cache::{Cached, Config};
use onefold_database::Session;
use rand::RngExt as _;
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

/// L1 keeps entries for long, so that only an invalidation can be what drops them.
fn patient() -> Config {
    Config { dear_after: MINUTE, l1_ttl: MINUTE, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_reaches_the_other_nodes_soon() {
    let system = System::with(2, patient()).await;
    let [writer, reader] = &system.nodes[..] else { unreachable!() };
    let mut fastest = Duration::MAX;
    for round in 0..20 {
        let value = round.to_string();
        reader.get(&anybody(), &CHEAP, "a").await;
        writer.put(&Session::new(), &CHEAP, "a", &value).await;
        let answered = onefold_core::Clock::system().now();
        eventually("the new value is seen", async || {
            reader.get(&anybody(), &CHEAP, "a").await.as_deref() == Some(&value)
        })
        .await;
        fastest = fastest.min(answered.elapsed());
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

#[tokio::test]
async fn a_fill_that_began_before_an_invalidation_is_not_stored() {
    let system = System::with(2, patient()).await;
    let [slow, writer] = &system.nodes[..] else { unreachable!() };
    for things in [&CHEAP, &DEAR] {
        writer.put(&Session::new(), things, "a", "old").await;
        let (read, go_on) = (Notify::new(), Notify::new());
        let session = anybody();
        let loading = slow.cache.get_or(&session, things, "a", async |reader| {
            let value = reader.query_opt::<String>("select value from thing where id = $1", &[&"a"]).await;
            read.notify_one();
            go_on.notified().await;
            value
        });
        let overtaking = async {
            read.notified().await;
            let key = things.key("a");
            let before = slow.cache.generation_of(&key);
            writer.put(&Session::new(), things, "a", "new").await;
            // L2 has it since the answer; L1 hears of it by a hint.
            eventually("the slow node has heard", async || slow.cache.generation_of(&key) > before).await;
            go_on.notify_one();
        };
        let both = Box::pin(futures_util::future::join(loading, overtaking));
        let (loaded, ()) = within("both end", both).await;
        assert_eq!(loaded.unwrap().as_deref(), Some("old"), "the caller alone gets what it had read");
        for node in &system.nodes {
            assert_eq!(node.get(&anybody(), things, "a").await.as_deref(), Some("new"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_never_reads_less_than_it_wrote() {
    let system = System::start(2).await;
    let mut confirmed = 0;
    for round in 0..1000 {
        let things = if round % 2 == 0 { &CHEAP } else { &DEAR };
        let (id, value) = (format!("thing-{}", round % 7), round.to_string());
        let any = |system: &System| rand::rng().random_range(0..system.nodes.len());
        // Somebody warms the caches with the old value.
        for node in &system.nodes {
            node.get(&anybody(), things, &id).await;
        }
        let session = Session::new();
        let writer = &system.nodes[any(&system)];
        let mut tx = writer.write(&session, &id, &value).await;
        tx.attach(writer.cache.invalidation(&CHEAP, &id));
        tx.attach(writer.cache.invalidation(&DEAR, &id));
        confirmed += usize::from(tx.commit().await.unwrap().confirmed);
        let reader = &system.nodes[any(&system)];
        let seen = reader.get(&session, things, &id).await;
        assert_eq!(seen.as_deref(), Some(value.as_str()), "round {round}");
    }
    assert!(confirmed > 0);
}

#[tokio::test]
async fn a_writer_that_dies_after_its_commit_is_caught_up_with() {
    let system = System::with(2, patient()).await;
    for things in [&CHEAP, &DEAR] {
        system.nodes[0].put(&Session::new(), things, "a", "old").await;
        for node in &system.nodes {
            assert_eq!(node.get(&anybody(), things, "a").await.as_deref(), Some("old"));
        }
        // What its transaction left behind: the write and the outbox row, and nobody who acts on them.
        let client = system.postgres.client().await;
        let payload = text(things, "a").into_bytes();
        client
            .query(
                "with written as (update thing set value = 'new' where id = 'a')
                 insert into onefold.outbox (subject, payload) values ('cache', $1)",
                &[&payload],
            )
            .await
            .unwrap();
        for node in &system.nodes {
            eventually("every node sees the new value", async || {
                node.get(&anybody(), things, "a").await.as_deref() == Some("new")
            })
            .await;
        }
        eventually("the row is acknowledged", async || {
            let open = "select count(*) from onefold.outbox where not acknowledged";
            client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_gap_of_the_bus_empties_the_node() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    node.write(&Session::new(), "a", "one").await.commit().await.unwrap();
    node.get(&anybody(), &CHEAP, "a").await;
    // Behind the cache's back: it shows when the copy is gone.
    node.write(&Session::new(), "a", "two").await.commit().await.unwrap();
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("one"));
    let client = system.postgres.client().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'listen%'";
    let cut: i64 = client.query_one(cut, &[]).await.unwrap().get(0);
    assert!(cut > 0, "there is a subscription to cut");
    eventually("the gap is seen", async || node.metric(r#"onefold_cache_gaps_total{source="bus"}"#) >= 1.0)
        .await;
    eventually("the node is in step again", async || node.cache.is_in_step()).await;
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("two"));
    let loads = node.loads();
    node.get(&anybody(), &CHEAP, "a").await;
    assert_eq!(node.loads(), loads, "and caches again");
}

#[tokio::test]
async fn a_rolled_back_transaction_invalidates_nothing() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    node.write(&Session::new(), "a", "one").await.commit().await.unwrap();
    node.get(&anybody(), &CHEAP, "a").await;
    let loads = node.loads();
    let mut tx = node.write(&Session::new(), "a", "two").await;
    tx.attach(node.cache.invalidation(&CHEAP, "a"));
    tx.roll_back().await.unwrap();
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("one"));
    assert_eq!(node.loads(), loads);
}

#[tokio::test]
async fn a_silent_bus_empties_the_node_until_it_speaks_again() {
    let system = System::at(onefold_core::Clock::system(), 1, patient()).await;
    let node = &system.nodes[0];
    node.write(&Session::new(), "a", "one").await.commit().await.unwrap();
    node.get(&anybody(), &CHEAP, "a").await;
    let client = system.postgres.client().await;
    let listener = "select pid from pg_stat_activity where query ilike 'listen%'";
    let listener: i32 = client.query_one(listener, &[]).await.unwrap().get(0);
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &listener.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    // The connection stands, and nothing comes.
    signal("-STOP");
    eventually("the silence is noticed", async || !node.cache.is_in_step()).await;
    node.write(&Session::new(), "a", "two").await.commit().await.unwrap();
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("two"), "bypassed");
    signal("-CONT");
    eventually("the node is in step again", async || node.cache.is_in_step()).await;
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("two"));
}
