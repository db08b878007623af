//! Members that die, hang or come back, by real signals.

use super::servers::Servers;
use super::stage::{Stage, in_the_end};
use crate::support::{PATIENCE, node};
use nix::sys::signal::Signal;
use onefold_coordination::store::{Acquired, Change, Changes, Operation, Position, Store, Txn, Writer};
use onefold_coordination::{Config, Coordination, Error, Setting};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many writes the load makes; a member dies after a third of them.
const WRITES: i64 = 300;
const LIMIT: Setting<i64> = Setting::new("limit", 1);

fn put(key: &str, value: i64) -> Txn {
    Txn { then: vec![Operation::put(key, json!(value))], writer: Writer::new("faults"), ..Txn::default() }
}

/// The values of one key, in the order in which a watcher saw them.
async fn seen(store: &dyn Store, key: &str, from: Position, until: i64) -> Vec<i64> {
    let (mut values, mut at) = (Vec::new(), from);
    while values.last() != Some(&until) {
        let Ok(answer) = store.changes("", at).await else { continue };
        let Changes::Since { changes, position, .. } = answer else { panic!("{answer:?}") };
        at = position;
        values.extend(changes.iter().filter_map(|change| match change {
            Change::Put(entry) if &*entry.key == key => entry.value.as_i64(),
            _ => None,
        }));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    values
}

/// Writers go on, no acknowledged write is lost, a watcher sees each once and in order, and a lease is still held.
#[tokio::test]
async fn a_member_that_dies_under_load_costs_no_acknowledged_write() {
    let mut stage = Stage::new(Servers::three()).await;
    let config = Config { timeout: Duration::from_secs(5), ..stage.etcd.config() };
    let (writer, watcher) = (stage.store(&config), stage.store(&config));
    let from = in_the_end("a position", async || watcher.list("").await.ok()).await.position;
    let Acquired::Granted(grant) = writer.acquire("lock", "one", Duration::from_secs(10)).await.unwrap()
    else {
        panic!("it is free");
    };
    let writing = async {
        let (mut acknowledged, mut unknown) = (BTreeSet::new(), 0);
        for value in 0..WRITES {
            if value == WRITES / 3 {
                stage.etcd.kill(0);
            }
            loop {
                match writer.commit(&put("load", value)).await {
                    Ok(_) => {
                        acknowledged.insert(value);
                        break;
                    }
                    // It may stand there: once more would be twice.
                    Err(Error::Unknown(_)) => {
                        unknown += 1;
                        break;
                    }
                    Err(Error::Away(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        in_the_end("the last write", async || writer.commit(&put("load", WRITES)).await.ok()).await;
        (acknowledged, unknown)
    };
    let both = async { tokio::join!(writing, seen(&*watcher, "load", from, WRITES)) };
    let ((acknowledged, unknown), seen) = tokio::time::timeout(PATIENCE * 2, both).await.expect("they go on");
    assert!(seen.is_sorted_by(|a, b| a < b), "each once, in order: {seen:?}");
    assert!(acknowledged.iter().all(|value| seen.contains(value)), "acknowledged, and not seen");
    assert!(unknown <= 2, "only what was under way when the member died: {unknown}");
    assert!(writer.renew(&grant, Duration::from_secs(10), 0).await.unwrap(), "the lease is still held");
}

/// Nothing but changes waits: the last snapshot stays in force, and when the members are back a change arrives, and
/// what was held is still held.
#[tokio::test]
async fn while_all_members_are_away_the_last_snapshot_stays_in_force() {
    let mut stage = Stage::new(Servers::three()).await;
    let config = Config { timeout: Duration::from_secs(1), ..stage.etcd.config() };
    let one = node("one");
    let coordination = Coordination::connect(&stage.database, &config, &one).await.unwrap();
    let settings = coordination.settings();
    settings.register(&LIMIT).unwrap();
    let mut limit = settings.watch(&LIMIT).unwrap();
    in_the_end("a change", async || settings.set("limit", 2.into(), None, Writer::new("ada")).await.ok())
        .await;
    tokio::time::timeout(PATIENCE, limit.wait_for(|limit| *limit == 2)).await.unwrap().unwrap();
    let lock = coordination.locks().try_lock("purge", Duration::from_secs(30)).await.unwrap().unwrap();

    (0..3).for_each(|member| stage.etcd.kill(member));
    let refused = settings.set("limit", 3.into(), None, Writer::new("ada")).await.unwrap_err();
    assert!(matches!(refused, Error::Away(_) | Error::Unknown(_)), "{refused}");
    assert_eq!(settings.get(&LIMIT), 2);

    (0..3).for_each(|member| stage.etcd.begin(member));
    in_the_end("a change", async || settings.set("limit", 4.into(), None, Writer::new("ada")).await.ok())
        .await;
    tokio::time::timeout(PATIENCE, limit.wait_for(|limit| *limit == 4)).await.unwrap().unwrap();
    assert!(lock.is_held());
    lock.release().await;
    assert!(one.tasks.stop(Duration::from_secs(5)).await, "every task of the node ends by itself");
}

/// A member that hangs answers nobody, and its connections stay open.
#[tokio::test]
async fn a_member_that_hangs_is_left_for_another() {
    let stage = Stage::new(Servers::three()).await;
    let config = Config { timeout: Duration::from_secs(3), ..stage.etcd.config() };
    let store = stage.store(&config);
    for member in 0..3 {
        stage.etcd.signal(member, Signal::SIGSTOP);
        in_the_end("a change past the one that hangs", async || store.commit(&put("a", 1)).await.ok()).await;
        stage.etcd.signal(member, Signal::SIGCONT);
    }
}

/// A backup knows nothing of what came after it: positions and tokens from then must not be taken for those of now.
#[tokio::test]
async fn after_a_restore_positions_are_of_another_epoch_and_tokens_grow() {
    let mut stage = Stage::new(Servers::one()).await;
    let config = stage.etcd.config();
    let store = stage.store(&config);
    store.commit(&put("kept", 1)).await.unwrap();
    stage.etcd.control(&["snapshot", "save", "backup"]);
    let ttl = Duration::from_secs(2);
    for value in 0..5 {
        store.commit(&put("lost", value)).await.unwrap();
    }
    let Acquired::Granted(first) = store.acquire("lock", "one", ttl).await.unwrap() else {
        panic!("it is free")
    };
    let before = store.list("").await.unwrap().position;

    stage.etcd.restore("backup");

    let after = in_the_end("it answers", async || store.list("").await.ok()).await;
    assert_eq!(after.entries.len(), 1, "{after:?}");
    assert!(after.position.epoch > before.epoch, "{before:?} {after:?}");
    assert_eq!(store.changes("", before).await.unwrap(), Changes::Elsewhere);
    assert!(!store.renew(&first, ttl, 0).await.unwrap());
    let Acquired::Granted(second) = store.acquire("lock", "two", ttl).await.unwrap() else {
        panic!("it is free")
    };
    assert!(second.token > first.token);
}
