//! Who loads, when, and what is kept of it.

use crate::node::{Node, System, anybody, eventually, text, within};
use futures_util::future::join_all;
use onefold_cache::{Cached, Config};
use onefold_core::{Clock, Deadline};
use onefold_database::{Read, Session};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

/// Nothing is dear but what says so, however slow the machine is.
fn cheap_by_default() -> Config {
    Config { dear_after: Duration::from_mins(1), ..Config::default() }
}

async fn with_a_thing(nodes: usize) -> System {
    with_a_thing_at(Clock::manual(), nodes).await
}

async fn with_a_thing_at(clock: Clock, nodes: usize) -> System {
    let system = System::at(clock, nodes, cheap_by_default()).await;
    system.nodes[0].write(&Session::new(), "a", "one").await.commit().await.unwrap();
    system
}

#[tokio::test]
async fn a_second_read_is_a_hit() {
    let system = with_a_thing(2).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    for things in [&CHEAP, &DEAR] {
        for _ in 0..2 {
            assert_eq!(first.get(&anybody(), things, "a").await.as_deref(), Some("one"));
        }
    }
    assert_eq!(first.loads(), 2, "one load for each key space");
    second.get(&anybody(), &DEAR, "a").await;
    assert_eq!(second.loads(), 0, "what is dear is shared");
    second.get(&anybody(), &CHEAP, "a").await;
    assert_eq!(second.loads(), 1, "what is cheap is not");
    assert!(first.metric(r#"onefold_cache_hits_total{level="l1"}"#) >= 2.0);
    assert!(second.metric(r#"onefold_cache_hits_total{level="l2"}"#) >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_on_two_nodes_loads_once() {
    let system = with_a_thing(2).await;
    let load = async |node: &Node| {
        let loader = async |reader: onefold_database::Reader| {
            node.loads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            reader.query_opt("select value from thing where id = $1", &[&"a"]).await
        };
        node.cache.get_or(&anybody(), &DEAR, "a", loader).await.unwrap()
    };
    let herd = (0..200).map(|caller| load(&system.nodes[caller % 2]));
    let answers: Vec<Option<String>> = within("the herd is answered", join_all(herd)).await;
    assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
    assert_eq!(system.loads(), 1);
}

#[tokio::test]
async fn that_there_is_none_is_remembered_until_there_is_one() {
    let system = with_a_thing(2).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    let nobody: Cached<str, String> = Cached::new("no-negatives", MINUTE).negative_ttl(Duration::ZERO);
    for things in [&CHEAP, &DEAR] {
        for _ in 0..3 {
            assert_eq!(first.get(&anybody(), things, "new").await, None);
        }
        first.get(&anybody(), &nobody, "new").await;
    }
    assert_eq!(first.loads(), 4, "twice remembered, and twice asked where it is not to be");
    let session = Session::new();
    let mut tx = second.write(&session, "new", "born").await;
    tx.attach(second.cache.invalidation(&CHEAP, "new"));
    tx.attach(second.cache.invalidation(&DEAR, "new"));
    tx.commit().await.unwrap();
    for things in [&CHEAP, &DEAR] {
        assert_eq!(first.get(&session, things, "new").await.as_deref(), Some("born"));
    }
}

#[tokio::test]
async fn a_failed_load_is_not_remembered_and_one_of_those_who_wait_loads_instead() {
    let system = with_a_thing(1).await;
    let node = &system.nodes[0];
    let (entered, fail) = (Notify::new(), Notify::new());
    let session = anybody();
    let failing = node.cache.get_or(&session, &CHEAP, "a", async |_| {
        entered.notify_one();
        fail.notified().await;
        Err::<Option<String>, _>("out of luck")
    });
    let waiting = async {
        entered.notified().await;
        let waiters = join_all((0..10).map(|_| async { node.get(&anybody(), &CHEAP, "a").await }));
        let failing = async {
            tokio::task::yield_now().await;
            fail.notify_one();
        };
        futures_util::future::join(waiters, failing).await.0
    };
    let (failed, answers) = within("all are answered", futures_util::future::join(failing, waiting)).await;
    assert_eq!(failed.unwrap_err(), "out of luck");
    assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
    assert_eq!(node.loads(), 1, "one of ten loads in its place");
}

#[tokio::test]
async fn a_dropped_leader_wakes_one_of_those_who_wait() {
    let system = with_a_thing(2).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    for things in [&CHEAP, &DEAR] {
        let before = first.loads();
        let entered = Notify::new();
        let session = anybody();
        let stuck = first.cache.get_or(&session, things, "a", async |_| {
            entered.notify_one();
            std::future::pending::<Result<Option<String>, ()>>().await
        });
        let mut stuck = Box::pin(stuck);
        let mut waiters = Box::pin(join_all((0..10).map(|_| first.get(&session, things, "a"))));
        tokio::select! {
            _ = &mut stuck => unreachable!("it never loads"),
            () = entered.notified() => {}
        }
        assert!(futures_util::poll!(&mut waiters).is_pending(), "they wait for the leader");
        drop(stuck);
        let answers = within("the others are answered", waiters).await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
        assert_eq!(first.loads() - before, 1);
    }
    assert_eq!(second.get(&anybody(), &DEAR, "a").await.as_deref(), Some("one"));
    assert_eq!(second.loads(), 0, "the lease had been passed on, and its fill stored");
}

#[tokio::test]
async fn a_strong_session_never_reads_a_cache() {
    let system = with_a_thing(1).await;
    let node = &system.nodes[0];
    node.get(&anybody(), &CHEAP, "a").await;
    // Behind the cache's back.
    node.write(&Session::new(), "a", "two").await.commit().await.unwrap();
    let strong = Session::new().with_level(Read::Strong);
    assert_eq!(node.get(&strong, &CHEAP, "a").await.as_deref(), Some("two"));
    assert_eq!(node.get(&anybody(), &CHEAP, "a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn what_was_not_read_through_the_reader_is_not_stored() {
    let system = with_a_thing(1).await;
    let node = &system.nodes[0];
    for _ in 0..2 {
        let guess = async |_| {
            node.loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>(Some("a guess".to_owned()))
        };
        node.cache.get_or(&anybody(), &CHEAP, "a", guess).await.unwrap();
    }
    assert_eq!(node.loads(), 2);
}

#[tokio::test]
async fn a_dead_shared_level_is_a_miss() {
    let system = with_a_thing(2).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    system.postgres.client().await.batch_execute("drop table onefold.cache").await.unwrap();
    for node in [first, second] {
        for _ in 0..3 {
            assert_eq!(node.get(&anybody(), &DEAR, "a").await.as_deref(), Some("one"));
        }
        assert_eq!(node.loads(), 1, "this node's own level still works");
    }
    let session = Session::new();
    first.put(&session, &DEAR, "a", "two").await;
    assert!(!session.token().unwrap().confirmed, "nobody knows what the shared level still shows");
    for node in [first, second] {
        assert_eq!(node.get(&session, &DEAR, "a").await.as_deref(), Some("two"));
    }
    assert!(first.metric("onefold_cache_l2_failures_total") >= 1.0);
}

#[tokio::test]
async fn a_shared_level_that_forgets_begins_a_new_epoch() {
    let system = with_a_thing(2).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    first.get(&anybody(), &DEAR, "a").await;
    let client = system.postgres.client().await;
    let epochs = async || -> Vec<uuid::Uuid> {
        let rows = client.query("select epoch from onefold.cache where key = ''", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = epochs().await;
    assert_eq!(before.len(), 1);
    client.batch_execute("truncate onefold.cache").await.unwrap();
    assert_eq!(second.get(&anybody(), &DEAR, "a").await.as_deref(), Some("one"));
    assert_eq!(second.loads(), 1, "nothing was left");
    let after = epochs().await;
    assert!(after.len() == 1 && after != before);
}

#[tokio::test]
async fn stale_copies_stand_in_while_one_loads_and_when_a_load_fails() {
    let clock = Clock::manual();
    let system = with_a_thing_at(clock.clone(), 1).await;
    let node = &system.nodes[0];
    let things: Cached<str, String> = Cached::new("stale", Duration::from_millis(10))
        .jitter(0)
        .stale_while_revalidate(MINUTE)
        .stale_if_error(MINUTE);
    node.get(&anybody(), &things, "a").await;
    clock.advance(Duration::from_millis(20));
    let failing = async |_| Err::<Option<String>, _>("out of luck");
    let failed = node.cache.get_or(&anybody(), &things, "a", failing).await;
    assert_eq!(failed.unwrap().as_deref(), Some("one"), "stale on error");
    let entered = Notify::new();
    let somebody = anybody();
    let mut loading = Box::pin(node.cache.get_or(&somebody, &things, "a", async |_| {
        entered.notify_one();
        std::future::pending::<Result<Option<String>, ()>>().await
    }));
    tokio::select! {
        _ = &mut loading => unreachable!("it never loads"),
        () = entered.notified() => {}
    }
    let stale = within("nobody waits", node.get(&anybody(), &things, "a")).await;
    assert_eq!(stale.as_deref(), Some("one"), "stale while another loads");
    assert_eq!(node.loads(), 1);
    drop(loading);
    let session = Session::new();
    node.put(&session, &things, "a", "two").await;
    assert_eq!(node.get(&session, &things, "a").await.as_deref(), Some("two"), "never less than was written");
}

#[tokio::test]
async fn a_bounded_session_gets_nothing_that_was_changed_longer_ago() {
    let clock = Clock::manual();
    let system = with_a_thing_at(clock.clone(), 1).await;
    let node = &system.nodes[0];
    let bounded = |bound| Session::new().with_level(Read::Bounded(bound));
    for things in [&CHEAP, &DEAR] {
        node.get(&bounded(MINUTE), things, "a").await;
        // Without a replica only the watermark can vouch for a copy, and it moves with the log.
        node.write(&Session::new(), "b", "two").await.commit().await.unwrap();
        eventually("within the bound it is a hit", async || {
            let before = node.loads();
            node.get(&bounded(MINUTE), things, "a").await;
            node.loads() == before
        })
        .await;
    }
    // Its writer died: nobody has told this node, nor the shared level.
    let died = "with written as (update thing set value = 'two' where id = 'a')
                insert into onefold.outbox (subject, payload)
                select 'cache', convert_to(key, 'UTF8') from unnest($1::text[]) as key";
    let keys = [text(&CHEAP, "a"), text(&DEAR, "a")];
    system.postgres.client().await.execute(died, &[&keys.as_slice()]).await.unwrap();
    clock.advance(Duration::from_millis(100));
    for things in [&CHEAP, &DEAR] {
        let seen = node.get(&bounded(Duration::from_millis(50)), things, "a").await;
        assert_eq!(seen.as_deref(), Some("two"));
    }
}

#[tokio::test]
async fn an_entry_near_its_end_is_renewed_by_one_while_the_others_use_it() {
    let clock = Clock::manual();
    let system = with_a_thing_at(clock.clone(), 1).await;
    let node = &system.nodes[0];
    let things: Cached<str, String> =
        Cached::new("early", Duration::from_secs(1)).jitter(0).refresh_early(50);
    node.get(&anybody(), &things, "a").await;
    // More than half of its life, and less than the silence that the bus is allowed.
    clock.advance(Duration::from_millis(600));
    let (entered, go_on, somebody) = (Notify::new(), Notify::new(), anybody());
    let renewing = node.cache.get_or(&somebody, &things, "a", async |reader| {
        entered.notify_one();
        go_on.notified().await;
        reader.query_opt::<String>("select value from thing where id = $1", &[&"a"]).await
    });
    let using = async {
        entered.notified().await;
        for _ in 0..3 {
            assert_eq!(node.get(&anybody(), &things, "a").await.as_deref(), Some("one"));
        }
        go_on.notify_one();
    };
    let both = Box::pin(futures_util::future::join(renewing, using));
    within("the one renews", both).await.0.unwrap();
    assert_eq!(node.loads(), 1, "the others loaded nothing");
    clock.advance(Duration::from_millis(300));
    node.get(&anybody(), &things, "a").await;
    assert_eq!(node.loads(), 1, "and it lives on");
}

#[tokio::test]
async fn entries_that_are_made_together_do_not_end_together() {
    let system = System::with(1, cheap_by_default()).await;
    let node = &system.nodes[0];
    for thing in 0..20 {
        node.get(&anybody(), &DEAR.negative_ttl(MINUTE), &thing.to_string()).await;
    }
    let client = system.postgres.client().await;
    let lives = "select count(distinct round(extract(epoch from expires_at - now()))),
                        min(expires_at - now()) > '50 s' and max(expires_at - now()) < '67 s'
                   from onefold.cache where valid";
    let lives = client.query_one(lives, &[]).await.unwrap();
    assert!(lives.get::<_, i64>(0) > 3, "spread over several seconds");
    assert!(lives.get::<_, bool>(1), "within a tenth of a minute, up and down");
}

#[tokio::test]
async fn nobody_waits_for_another_beyond_the_deadline() {
    let system = with_a_thing(1).await;
    let node = &system.nodes[0];
    let (entered, somebody) = (Notify::new(), anybody());
    let mut stuck = Box::pin(node.cache.get_or(&somebody, &CHEAP, "a", async |_| {
        entered.notify_one();
        std::future::pending::<Result<Option<String>, ()>>().await
    }));
    tokio::select! {
        _ = &mut stuck => unreachable!("it never loads"),
        () = entered.notified() => {}
    }
    let now = Clock::system().now();
    let deadline = Deadline::after(now, Duration::from_millis(30));
    let hurried = anybody().with_deadline(deadline);
    let answer = node.cache.get_or(&hurried, &CHEAP, "a", async |reader| {
        reader.query_opt::<String>("select value from thing where id = $1", &[&"a"]).await
    });
    let answer = within("it ends", Box::pin(answer)).await;
    assert!(matches!(answer, Err(onefold_database::Error::Timeout)), "{answer:?}");
}

/// A handler as an application writes it: what it awaits must be `Send`, whatever its loader borrows.
#[tokio::test]
async fn a_handler_may_run_on_any_thread() {
    async fn handler(cache: onefold_cache::Cache, session: Session, code: String) -> Option<String> {
        let loader = async |db: onefold_database::Reader| {
            db.query_opt("select value from thing where id = $1", &[&code]).await
        };
        cache.get_or(&session, &CHEAP, &code, loader).await.ok().flatten()
    }
    fn on_any_thread<T: Send>(work: T) -> T {
        work
    }
    let system = with_a_thing(1).await;
    let node = &system.nodes[0];
    let work = on_any_thread(handler(node.cache.clone(), Session::new(), "a".to_owned()));
    assert_eq!(Box::pin(work).await.as_deref(), Some("one"));
}
