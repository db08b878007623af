//! What every engine must do, one case for each promise of [`Store`]: public, so that an engine of one's own is
//! proved by the same cases.
//!
//! Each case takes an engine that nobody else uses. It panics where a promise is broken.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a case fails by a panic")]

use crate::error::Error;
use crate::store::{
    Acquired, Change, Changes, Compare, Grant, Hint, Operation, Position, Store, Txn, Writer,
};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use onefold_database::Tx;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// An engine under test.
pub trait Harness: Send + Sync {
    /// The engine.
    fn store(&self) -> Arc<dyn Store>;

    /// A transaction of the application's database, for fences.
    fn begin(&self) -> BoxFuture<'_, Tx>;
}

/// Long enough that a slow machine does not end a lease that a case still needs.
const LONG: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

/// The shortest lease that ends on time.
fn short(store: &dyn Store) -> Duration {
    store.capabilities().ttl_min.max(Duration::from_millis(300))
}

fn txn(compare: Vec<Compare>, then: Vec<Operation>) -> Txn {
    Txn { compare, then, otherwise: vec![], writer: Writer::new("conformance") }
}

async fn put(store: &dyn Store, key: &str, value: i64) -> Position {
    let outcome = store.commit(&txn(vec![], vec![Operation::put(key, json!(value))])).await.unwrap();
    assert!(outcome.held);
    outcome.position
}

async fn granted(store: &dyn Store, name: &str, holder: &str, ttl: Duration) -> Grant {
    let waiting = async {
        loop {
            match store.acquire(name, holder, ttl).await.unwrap() {
                Acquired::Granted(grant) => return grant,
                Acquired::Held { remaining, .. } => {
                    tokio::time::sleep(remaining.max(Duration::from_millis(5))).await;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the lease is granted in the end")
}

/// Reads everything after a position.
async fn read_on(store: &dyn Store, prefix: &str, mut from: Position) -> (Vec<Change>, Position) {
    let mut all = Vec::new();
    loop {
        match store.changes(prefix, from).await.unwrap() {
            Changes::Since { changes, position, newest } => {
                all.extend(changes);
                from = position;
                if position.revision >= newest {
                    return (all, position);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Hands the names of all cases to a macro, so that no engine's tests leave one out.
#[macro_export]
macro_rules! conformance_cases {
    ($with:ident) => {
        $with! {
            eight_concurrent_writers_lose_no_event_to_a_watcher,
            compare_and_set_refuses_the_second_writer,
            a_transaction_that_changes_nothing_takes_no_revision,
            a_watch_resumes_from_a_revision,
            a_compacted_position_is_answered_so_and_the_history_stays,
            a_position_of_another_epoch_is_answered_with_elsewhere,
            the_history_says_who_and_why,
            an_expired_lease_is_taken_over_with_a_larger_token,
            one_of_many_gets_a_free_lease,
            a_released_lease_is_hinted_and_free,
            a_takeover_waits_for_a_fenced_transaction_and_a_renewal_does_not,
            a_fence_refuses_a_lease_that_is_lost,
            a_key_ends_with_its_lease,
        }
    };
}

/// Writers that overlap commit in another order than they began; a watcher that reads while they write sees
/// every revision, once and in order.
pub async fn eight_concurrent_writers_lose_no_event_to_a_watcher(harness: &dyn Harness) {
    const WRITES: usize = 40;
    let store = harness.store();
    let start = store.list("").await.unwrap().position;
    let writers = join_all((0..8).map(|writer| {
        let store = store.clone();
        async move {
            for n in 0..WRITES {
                put(&*store, &format!("writer/{writer}"), i64::try_from(n).unwrap()).await;
            }
        }
    }));
    let watcher = async {
        let (mut seen, mut at) = (Vec::new(), start);
        while seen.len() < 8 * WRITES {
            let (changes, position) = read_on(&*store, "writer/", at).await;
            seen.extend(changes);
            at = position;
            tokio::task::yield_now().await;
        }
        seen
    };
    let both = async { tokio::join!(writers, watcher).1 };
    let seen = tokio::time::timeout(PATIENCE, both).await.expect("every event is seen");
    assert!(seen.is_sorted_by(|a, b| a.revision() < b.revision()), "each in a revision of its own, in order");
    for writer in 0..8 {
        let key = format!("writer/{writer}");
        let values = seen.iter().filter_map(|change| match change {
            Change::Put(entry) if *entry.key == *key => entry.value.as_u64(),
            _ => None,
        });
        assert!(values.eq(0..WRITES as u64), "every change of {key}, once");
    }
}

/// Two who read the same revision and both write: one wins, and the other learns it.
pub async fn compare_and_set_refuses_the_second_writer(harness: &dyn Harness) {
    let store = harness.store();
    let created = txn(
        vec![Compare::Revision { key: "cas".into(), is: 0 }],
        vec![Operation::put("cas", json!("first"))],
    );
    let (one, two) = tokio::join!(store.commit(&created), store.commit(&created));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.held != two.held, "{one:?} {two:?}");
    let by_value = |is: &str, value: &str| Txn {
        compare: vec![Compare::Value { key: "cas".into(), is: json!(is) }],
        then: vec![Operation::put("cas", json!(value))],
        otherwise: vec![Operation::put("cas-lost", json!(value))],
        writer: Writer::default(),
    };
    assert!(store.commit(&by_value("first", "second")).await.unwrap().held);
    assert!(!store.commit(&by_value("first", "third")).await.unwrap().held);
    let entries = store.list("cas").await.unwrap().entries;
    let values: Vec<(&str, &serde_json::Value)> = entries.iter().map(|e| (&*e.key, &*e.value)).collect();
    assert_eq!(values, [("cas", &json!("second")), ("cas-lost", &json!("third"))]);
    assert!(entries[0].created < entries[0].revision);
}

/// Else watchers would be woken for nothing.
pub async fn a_transaction_that_changes_nothing_takes_no_revision(harness: &dyn Harness) {
    let store = harness.store();
    let before = put(&*store, "a", 1).await;
    let nothing = store.commit(&txn(vec![], vec![Operation::delete("missing")])).await.unwrap();
    assert_eq!(nothing.position, before);
    assert_eq!(store.list("").await.unwrap().position, before);
}

/// All steps of a transaction are one revision, and an answer never ends in the midst of one.
pub async fn a_watch_resumes_from_a_revision(harness: &dyn Harness) {
    let store = harness.store();
    put(&*store, "watched/a", 1).await;
    let from = put(&*store, "watched/b", 2).await;
    put(&*store, "other", 3).await;
    let steps = vec![Operation::put("watched/a", json!(4)), Operation::delete("watched/b")];
    let at = store.commit(&txn(vec![], steps)).await.unwrap().position;
    let (changes, position) = read_on(&*store, "watched/", from).await;
    assert_eq!(position, at);
    let seen: Vec<(&str, i64)> = changes.iter().map(|change| (&**change.key(), change.revision())).collect();
    assert_eq!(seen, [("watched/a", at.revision), ("watched/b", at.revision)]);
    assert!(
        matches!(&changes[0], Change::Put(entry) if *entry.value == json!(4) && entry.created < from.revision)
    );
    assert!(matches!(&changes[1], Change::Deleted { .. }));
    assert_eq!(read_on(&*store, "watched/", at).await, (vec![], at));
}

/// A watcher that was away for too long learns it; what people look back at stays.
pub async fn a_compacted_position_is_answered_so_and_the_history_stays(harness: &dyn Harness) {
    let store = harness.store();
    let start = store.list("").await.unwrap().position;
    for n in 1..=5 {
        put(&*store, "compacted", n).await;
    }
    let newest = store.list("").await.unwrap().position;
    store.compact(newest.revision - 1, 3).await.unwrap();
    assert_eq!(store.changes("", start).await.unwrap(), Changes::Compacted);
    let kept = Position { revision: newest.revision - 1, ..newest };
    assert_eq!(read_on(&*store, "", kept).await.0.len(), 1, "what is not compacted is still to be had");
    assert_eq!(store.list("").await.unwrap().entries.len(), 1);
    let past = store.history("compacted", 10).await.unwrap();
    let values: Vec<_> = past.iter().map(|past| past.value.clone().unwrap()).collect();
    assert_eq!(values, [json!(5), json!(4), json!(3)]);
}

/// A position from before a failover, or from another store, is not taken for one of this store.
pub async fn a_position_of_another_epoch_is_answered_with_elsewhere(harness: &dyn Harness) {
    let store = harness.store();
    let at = put(&*store, "a", 1).await;
    let another = Position { epoch: at.epoch + 1, ..at };
    assert_eq!(store.changes("", another).await.unwrap(), Changes::Elsewhere);
    let beyond = Position { revision: at.revision + 1, ..at };
    assert_eq!(store.changes("", beyond).await.unwrap(), Changes::Elsewhere);
}

/// Who, why and what before.
pub async fn the_history_says_who_and_why(harness: &dyn Harness) {
    let store = harness.store();
    put(&*store, "told", 1).await;
    let writer = Writer { actor: "ada".into(), reason: Some("too slow".into()) };
    let delete = Txn { then: vec![Operation::delete("told")], writer, ..Txn::default() };
    store.commit(&delete).await.unwrap();
    let past = store.history("told", 10).await.unwrap();
    assert_eq!(past.len(), 2);
    assert_eq!((past[0].value.clone(), past[0].actor.as_str()), (None, "ada"));
    assert_eq!(past[0].reason.as_deref(), Some("too slow"));
    assert_eq!((past[1].value.clone(), past[1].actor.as_str()), (Some(json!(1)), "conformance"));
    assert_eq!(store.history("told", 1).await.unwrap().len(), 1);

    put(&*store, "told again", 2).await;
    let keys = ["told", "told again", "never told"].map(str::to_owned);
    let latest = store.latest(&keys).await.unwrap();
    assert_eq!(latest.len(), 2, "{latest:?}");
    assert_eq!(latest["told"], past[0]);
    assert_eq!(latest["told again"].value, Some(json!(2)));
}

/// The next candidate sleeps exactly as long as it was told.
pub async fn an_expired_lease_is_taken_over_with_a_larger_token(harness: &dyn Harness) {
    let store = harness.store();
    let first = granted(&*store, "lease", "one", short(&*store)).await;
    let Acquired::Held { remaining, holder } = store.acquire("lease", "two", short(&*store)).await.unwrap()
    else {
        panic!("a lease that runs is nobody else's");
    };
    assert!(remaining <= short(&*store) && holder == "one", "{remaining:?} {holder}");
    let second = granted(&*store, "lease", "two", LONG).await;
    assert!(second.token > first.token);
    assert!(!store.renew(&first, LONG, 0).await.unwrap(), "the first holder learns that it is over");
    assert!(store.renew(&second, LONG, 0).await.unwrap());
}

/// Of many who want a free lease at once, one gets it.
pub async fn one_of_many_gets_a_free_lease(harness: &dyn Harness) {
    let store = harness.store();
    let answers = join_all((0..8).map(|n| {
        let store = store.clone();
        async move { store.acquire("wanted", &format!("node-{n}"), LONG).await.unwrap() }
    }));
    let granted = answers.await.into_iter().filter(|answer| matches!(answer, Acquired::Granted(_))).count();
    assert_eq!(granted, 1);
}

/// The next one need not wait for the lease's end, and a renewal that comes late does not revive it.
pub async fn a_released_lease_is_hinted_and_free(harness: &dyn Harness) {
    let store = harness.store();
    let mut hints = store.hints();
    let first = granted(&*store, "released", "one", LONG).await;
    let released = Hint::Released("released".into());
    let heard = async {
        // Hints may be lost, above all before the first one was heard.
        while hints.next().await.unwrap() != released {}
    };
    let releasing = async {
        loop {
            store.release(&first).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let hinted = async {
        tokio::select! {
            () = heard => {}
            () = releasing => {}
        }
    };
    tokio::time::timeout(PATIENCE, hinted).await.expect("the release is hinted");
    assert!(!store.renew(&first, LONG, 0).await.unwrap());
    let second = store.acquire("released", "two", LONG).await.unwrap();
    assert!(matches!(second, Acquired::Granted(grant) if grant.token > first.token));
}

/// Lock and data exclude each other truly: while a fenced transaction of the holder is open, the holder renews,
/// and a takeover waits for its commit.
pub async fn a_takeover_waits_for_a_fenced_transaction_and_a_renewal_does_not(harness: &dyn Harness) {
    let store = harness.store();
    if !store.capabilities().fence_excludes {
        return a_fence_refuses_a_lease_that_is_lost(harness).await;
    }
    let first = granted(&*store, "fenced", "one", short(&*store)).await;
    let mut tx = harness.begin().await;
    store.fence(&mut tx, &first).await.unwrap();
    assert!(store.renew(&first, short(&*store), 0).await.unwrap(), "a renewal passes");
    tokio::time::sleep(short(&*store) * 2).await;
    let takeover = store.acquire("fenced", "two", LONG).await.unwrap();
    assert!(matches!(takeover, Acquired::Held { .. }), "{takeover:?}");
    let (second, ()) = tokio::join!(granted(&*store, "fenced", "two", LONG), async {
        tokio::time::sleep(short(&*store)).await;
        tx.commit().await.unwrap();
    });
    assert!(second.token > first.token);
}

/// A holder that does not know yet that its time is over writes nothing.
pub async fn a_fence_refuses_a_lease_that_is_lost(harness: &dyn Harness) {
    let store = harness.store();
    let first = granted(&*store, "lost", "one", short(&*store)).await;
    granted(&*store, "lost", "two", LONG).await;
    let mut tx = harness.begin().await;
    let refused = store.fence(&mut tx, &first).await;
    assert!(matches!(&refused, Err(Error::LeaseLost { name }) if name == "lost"), "{refused:?}");
}

/// A key that a lease carries is gone when the lease ends, and watchers see it.
pub async fn a_key_ends_with_its_lease(harness: &dyn Harness) {
    let store = harness.store();
    let carried = |key: &str, lease: &str| {
        vec![Operation::Put { key: key.into(), value: json!(1), lease: Some(lease.into()) }]
    };
    let long = granted(&*store, "member/long", "two", LONG).await;
    store.commit(&txn(vec![], carried("members/two", &long.name))).await.unwrap();
    assert_eq!(store.reap("member/").await.unwrap(), 0);
    let brief = granted(&*store, "member/short", "one", short(&*store)).await;
    let from = store.commit(&txn(vec![], carried("members/one", &brief.name))).await.unwrap().position;
    tokio::time::sleep(short(&*store) * 2).await;
    assert_eq!(store.reap("member/").await.unwrap(), 1);
    let (changes, _) = read_on(&*store, "members/", from).await;
    assert!(matches!(&changes[..], [Change::Deleted { key, .. }] if &**key == "members/one"), "{changes:?}");
    assert!(store.renew(&long, LONG, 7).await.unwrap());
    let reports = store.reports("member/").await.unwrap();
    assert_eq!((reports.len(), reports[0].holder.as_str(), reports[0].report), (1, "two", 7));
}
