//! What an invalidation does, however it comes about.

use crate::bus;
use crate::node::{System, anybody, eventually, patient, undisturbed, within};
use onefold_cache::Cached;
use onefold_database::Session;
use rand::RngExt as _;
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_is_told_to_the_other_nodes() {
    let system = System::with(2, patient()).await;
    let database = &system.nodes[0].database;
    let tell = |payload| database.notify("onefold_cache", payload);
    bus::is_told_and_heard(&system.nodes, database.listen("onefold_cache"), tell).await;
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
        // At once, unless L2 was slow to confirm; and a fill that had been stored would last.
        for node in &system.nodes {
            eventually("the new value is seen", async || {
                node.get(&anybody(), things, "a").await.as_deref() == Some("new")
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_never_reads_less_than_it_wrote() {
    let system = System::start(2).await;
    let mut confirmed = 0;
    for round in 0..200 {
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
async fn a_gap_of_the_bus_empties_the_node() {
    let system = System::with(1, patient()).await;
    let client = system.postgres.client().await;
    let cut = async || {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'listen%'";
        eventually("there is a subscription to cut", async || {
            client.query_one(cut, &[]).await.unwrap().get::<_, i64>(0) > 0
        })
        .await;
    };
    bus::a_loss_empties(&system.nodes, cut).await;
}

#[tokio::test]
async fn a_rolled_back_transaction_invalidates_nothing() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    undisturbed(&system.nodes, async |id: &str| {
        node.write(&Session::new(), id, "one").await.commit().await.unwrap();
        node.get(&anybody(), &CHEAP, id).await;
        let loads = node.loads();
        let mut tx = node.write(&Session::new(), id, "two").await;
        tx.attach(node.cache.invalidation(&CHEAP, id));
        tx.roll_back().await.unwrap();
        assert_eq!(node.get(&anybody(), &CHEAP, id).await.as_deref(), Some("one"));
        assert_eq!(node.loads(), loads);
    })
    .await;
}

#[tokio::test]
async fn a_silent_bus_empties_the_node_until_it_speaks_again() {
    let system = System::at(onefold_core::Clock::system(), 1, patient()).await;
    let node = &system.nodes[0];
    node.write(&Session::new(), "a", "one").await.commit().await.unwrap();
    node.get(&anybody(), &CHEAP, "a").await;
    let client = system.postgres.client().await;
    let listener = "select pid from pg_stat_activity where query ilike 'listen%'";
    let mut found = None;
    eventually("there is a subscription", async || {
        found = client.query_opt(listener, &[]).await.unwrap().map(|row| row.get::<_, i32>(0));
        found.is_some()
    })
    .await;
    let listener = found.unwrap();
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
