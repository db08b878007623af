//! Who loads, when, and what is kept of it.

use crate::node::{Node, System, anybody, eventually, patient, text, undisturbed, within};
use futures_util::future::join_all;
use onefold_cache::Cached;
use onefold_core::{Clock, Deadline};
use onefold_database::{Read, Session};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

async fn with_a_thing(nodes: usize) -> System {
    with_a_thing_at(Clock::manual(), nodes).await
}

async fn with_a_thing_at(clock: Clock, nodes: usize) -> System {
    let system = System::at(clock, nodes, patient()).await;
    make(&system, "a").await;
    system
}

/// Writes a thing that is new.
async fn make(system: &System, id: &str) {
    system.nodes[0].write(&Session::new(), id, "one").await.commit().await.unwrap();
}

#[tokio::test]
async fn a_second_read_is_a_hit() {
    let system = System::with(2, patient()).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        let before = (first.loads(), second.loads());
        for things in [&CHEAP, &DEAR] {
            for _ in 0..2 {
                assert_eq!(first.get(&anybody(), things, id).await.as_deref(), Some("one"));
            }
        }
        assert_eq!(first.loads() - before.0, 2, "one load for each key space");
        second.get(&anybody(), &DEAR, id).await;
        assert_eq!(second.loads() - before.1, 0, "what is dear is shared");
        second.get(&anybody(), &CHEAP, id).await;
        assert_eq!(second.loads() - before.1, 1, "what is cheap is not");
    })
    .await;
    assert!(first.metric(r#"onefold_cache_hits_total{level="l1"}"#) >= 2.0);
    assert!(second.metric(r#"onefold_cache_hits_total{level="l2"}"#) >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_on_two_nodes_loads_once() {
    let system = System::with(2, patient()).await;
    let load = async |node: &Node, id: &str| {
        let loader = async |reader: onefold_database::Reader| {
            node.loads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            reader.query_opt("select value from thing where id = $1", &[&id]).await
        };
        node.cache.get_or(&anybody(), &DEAR, id, loader).await.unwrap()
    };
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        let before = system.loads();
        let herd = (0..200).map(|caller| load(&system.nodes[caller % 2], id));
        let answers: Vec<Option<String>> = within("the herd is answered", join_all(herd)).await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
        assert_eq!(system.loads() - before, 1);
    })
    .await;
}

#[tokio::test]
async fn that_there_is_none_is_remembered_until_there_is_one() {
    let system = System::with(2, patient()).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    let nobody: Cached<str, String> = Cached::new("no-negatives", MINUTE).negative_ttl(Duration::ZERO);
    undisturbed(&system.nodes, async |id: &str| {
        let before = first.loads();
        for things in [&CHEAP, &DEAR] {
            for _ in 0..3 {
                assert_eq!(first.get(&anybody(), things, id).await, None);
            }
            first.get(&anybody(), &nobody, id).await;
        }
        assert_eq!(first.loads() - before, 4, "twice remembered, and twice asked where it is not to be");
        let session = Session::new();
        let mut tx = second.write(&session, id, "born").await;
        tx.attach(second.cache.invalidation(&CHEAP, id));
        tx.attach(second.cache.invalidation(&DEAR, id));
        tx.commit().await.unwrap();
        for things in [&CHEAP, &DEAR] {
            assert_eq!(first.get(&session, things, id).await.as_deref(), Some("born"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_load_is_not_remembered_and_one_of_those_who_wait_loads_instead() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        let (entered, fail) = (Notify::new(), Notify::new());
        let (session, before) = (anybody(), node.loads());
        let failing = node.cache.get_or(&session, &CHEAP, id, async |_| {
            entered.notify_one();
            fail.notified().await;
            Err::<Option<String>, _>("out of luck")
        });
        let waiting = async {
            entered.notified().await;
            let waiters = join_all((0..10).map(|_| async { node.get(&anybody(), &CHEAP, id).await }));
            let failing = async {
                tokio::task::yield_now().await;
                fail.notify_one();
            };
            futures_util::future::join(waiters, failing).await.0
        };
        let both = Box::pin(futures_util::future::join(failing, waiting));
        let (failed, answers) = within("all are answered", both).await;
        assert_eq!(failed.unwrap_err(), "out of luck");
        assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
        assert_eq!(node.loads() - before, 1, "one of ten loads in its place");
    })
    .await;
}

#[tokio::test]
async fn a_dropped_leader_wakes_one_of_those_who_wait() {
    let system = System::with(2, patient()).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        for things in [&CHEAP, &DEAR] {
            let before = first.loads();
            let entered = Notify::new();
            let session = anybody();
            let stuck = first.cache.get_or(&session, things, id, async |_| {
                entered.notify_one();
                std::future::pending::<Result<Option<String>, ()>>().await
            });
            let mut stuck = Box::pin(stuck);
            let mut waiters = Box::pin(join_all((0..10).map(|_| first.get(&session, things, id))));
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
        let before = second.loads();
        assert_eq!(second.get(&anybody(), &DEAR, id).await.as_deref(), Some("one"));
        assert_eq!(second.loads(), before, "the lease had been passed on, and its fill stored");
    })
    .await;
}

#[tokio::test]
async fn a_strong_session_never_reads_a_cache() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        node.get(&anybody(), &CHEAP, id).await;
        // Behind the cache's back.
        node.write(&Session::new(), id, "two").await.commit().await.unwrap();
        let strong = Session::new().with_level(Read::Strong);
        assert_eq!(node.get(&strong, &CHEAP, id).await.as_deref(), Some("two"));
        assert_eq!(node.get(&anybody(), &CHEAP, id).await.as_deref(), Some("one"));
    })
    .await;
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
    let system = System::with(2, patient()).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    system.postgres.client().await.batch_execute("drop table onefold.cache").await.unwrap();
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        for node in [first, second] {
            let before = node.loads();
            for _ in 0..3 {
                assert_eq!(node.get(&anybody(), &DEAR, id).await.as_deref(), Some("one"));
            }
            assert_eq!(node.loads() - before, 1, "this node's own level still works");
        }
        let session = Session::new();
        first.put(&session, &DEAR, id, "two").await;
        assert!(!session.token().unwrap().confirmed, "nobody knows what the shared level still shows");
        for node in [first, second] {
            assert_eq!(node.get(&session, &DEAR, id).await.as_deref(), Some("two"));
        }
    })
    .await;
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
    let system = System::at(clock.clone(), 1, patient()).await;
    let node = &system.nodes[0];
    let things: Cached<str, String> = Cached::new("stale", Duration::from_millis(10))
        .jitter(0)
        .stale_while_revalidate(MINUTE)
        .stale_if_error(MINUTE);
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        node.get(&anybody(), &things, id).await;
        clock.advance(Duration::from_millis(20));
        let failing = async |_| Err::<Option<String>, _>("out of luck");
        let failed = node.cache.get_or(&anybody(), &things, id, failing).await;
        assert_eq!(failed.unwrap().as_deref(), Some("one"), "stale on error");
        let (entered, before) = (Notify::new(), node.loads());
        let somebody = anybody();
        let mut loading = Box::pin(node.cache.get_or(&somebody, &things, id, async |_| {
            entered.notify_one();
            std::future::pending::<Result<Option<String>, ()>>().await
        }));
        tokio::select! {
            _ = &mut loading => unreachable!("it never loads"),
            () = entered.notified() => {}
        }
        let stale = within("nobody waits", node.get(&anybody(), &things, id)).await;
        assert_eq!(stale.as_deref(), Some("one"), "stale while another loads");
        assert_eq!(node.loads(), before);
        drop(loading);
        let session = Session::new();
        node.put(&session, &things, id, "two").await;
        let seen = node.get(&session, &things, id).await;
        assert_eq!(seen.as_deref(), Some("two"), "never less than was written");
    })
    .await;
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
    let system = System::at(clock.clone(), 1, patient()).await;
    let node = &system.nodes[0];
    let things: Cached<str, String> =
        Cached::new("early", Duration::from_secs(1)).jitter(0).refresh_early(50);
    undisturbed(&system.nodes, async |id: &str| {
        make(&system, id).await;
        let before = node.loads();
        node.get(&anybody(), &things, id).await;
        // More than half of its life, and less than the silence that the bus is allowed.
        clock.advance(Duration::from_millis(600));
        let (entered, go_on, somebody) = (Notify::new(), Notify::new(), anybody());
        let renewing = node.cache.get_or(&somebody, &things, id, async |reader| {
            entered.notify_one();
            go_on.notified().await;
            reader.query_opt::<String>("select value from thing where id = $1", &[&id]).await
        });
        let using = async {
            entered.notified().await;
            for _ in 0..3 {
                assert_eq!(node.get(&anybody(), &things, id).await.as_deref(), Some("one"));
            }
            go_on.notify_one();
        };
        let both = Box::pin(futures_util::future::join(renewing, using));
        within("the one renews", both).await.0.unwrap();
        assert_eq!(node.loads() - before, 1, "the others loaded nothing");
        clock.advance(Duration::from_millis(300));
        node.get(&anybody(), &things, id).await;
        assert_eq!(node.loads() - before, 1, "and it lives on");
    })
    .await;
}

#[tokio::test]
async fn entries_that_are_made_together_do_not_end_together() {
    let system = System::with(1, patient()).await;
    let node = &system.nodes[0];
    let client = system.postgres.client().await;
    client.batch_execute("create table era as select clock_timestamp() as begun").await.unwrap();
    for thing in 0..20 {
        node.get(&anybody(), &DEAR.negative_ttl(MINUTE), &thing.to_string()).await;
    }
    let lives = "select count(distinct round(extract(epoch from expires_at - begun))),
                        min(expires_at) > min(begun) + '53 s' and max(expires_at) < clock_timestamp() + '67 s'
                   from onefold.cache, era where valid";
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

/// As of a node that died, or hangs, in the middle of its load.
#[tokio::test]
async fn who_waits_for_another_node_has_time_left_to_load() {
    let system = System::with(2, patient()).await;
    let [hanging, node] = system.nodes.as_slice() else { unreachable!() };
    make(&system, "a").await;
    let (entered, somebody) = (Notify::new(), anybody());
    let mut stuck = Box::pin(hanging.cache.get_or(&somebody, &DEAR, "a", async |_| {
        entered.notify_one();
        std::future::pending::<Result<Option<String>, ()>>().await
    }));
    tokio::select! {
        _ = &mut stuck => unreachable!("it never loads"),
        () = entered.notified() => {}
    }
    let deadline = Deadline::after(Clock::system().now(), Duration::from_secs(4));
    let hurried = anybody().with_deadline(deadline);
    let seen = within("it loads", node.get(&hurried, &DEAR, "a")).await;
    assert_eq!((seen.as_deref(), node.loads()), (Some("one"), 1));
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
