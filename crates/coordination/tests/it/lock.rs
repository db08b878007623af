//! Locks and fences.

use crate::support::{PATIENCE, Stage, now};
use onefold_coordination::conformance::Harness as _;
use onefold_coordination::{Config, Error};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_lock_excludes_others_and_its_release_wakes_the_next_at_once() {
    let stage = Stage::new().await;
    let config = Config::default();
    let (one, two) = (stage.node("one", &config).await, stage.node("two", &config).await);
    let (one, two) = (one.coordination.locks().clone(), two.coordination.locks().clone());
    let first = one.try_lock("purge", LONG).await.unwrap().expect("it is free");
    assert!(two.try_lock("purge", LONG).await.unwrap().is_none());
    assert!(two.try_lock("another", LONG).await.unwrap().is_some());
    let token = first.token();
    let waiting = async {
        let lock = two.lock("purge", LONG).await.unwrap();
        (lock, now())
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.release().await;
        now()
    };
    let both = async { tokio::join!(waiting, releasing) };
    let ((second, taken), released) =
        tokio::time::timeout(PATIENCE, both).await.expect("woken by the release");
    assert!(second.token() > token && second.is_held());
    println!("from the release to the next holder: {:?}", taken.saturating_duration_since(released));
}

#[tokio::test]
async fn a_dropped_lock_is_free_again() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let locks = node.coordination.locks();
    drop(locks.try_lock("purge", LONG).await.unwrap().unwrap());
    tokio::time::timeout(PATIENCE, locks.lock("purge", LONG)).await.expect("free").unwrap();
}

#[tokio::test]
async fn a_lock_outlives_its_ttl_while_its_holder_lives() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let ttl = Duration::from_millis(600);
    let lock = node.coordination.locks().try_lock("purge", ttl).await.unwrap().unwrap();
    tokio::time::sleep(ttl * 3).await;
    assert!(lock.is_held());
    assert!(node.coordination.locks().try_lock("purge", ttl).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_lock_says_so_and_its_fence_refuses() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let lock = node.coordination.locks().try_lock("purge", Duration::from_secs(1)).await.unwrap().unwrap();
    let mut tx = stage.begin().await;
    lock.fence(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    stage.pause();
    tokio::time::timeout(PATIENCE, lock.lost()).await.expect("it notices by its own clock");
    assert!(!lock.is_held());
    stage.resume();
    let other = tokio::time::timeout(PATIENCE, node.coordination.locks().lock("purge", LONG)).await.unwrap();
    let mut tx = stage.begin().await;
    let refused = lock.fence(&mut tx).await;
    assert!(matches!(&refused, Err(Error::LeaseLost { name }) if name == "purge"), "{refused:?}");
    assert!(other.unwrap().token() > lock.token());
}

/// Locks may be named after what they guard, so their leases must not pile up.
#[tokio::test]
async fn a_lease_that_ended_long_ago_leaves_nothing_behind_and_tokens_still_grow() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let locks = node.coordination.locks();
    let first = locks.try_lock("order-1", LONG).await.unwrap().unwrap();
    let held = locks.try_lock("order-2", LONG).await.unwrap().unwrap();
    let token = first.token();
    first.release().await;
    stage.store().compact(0, 1).await.unwrap();
    let client = stage.server.client().await;
    let left: Vec<String> = client
        .query("select name from onefold.lease", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(left, ["lock/order-2"]);
    assert!(held.is_held());
    assert!(locks.try_lock("order-1", LONG).await.unwrap().unwrap().token() > token);
}
