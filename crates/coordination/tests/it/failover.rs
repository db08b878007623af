//! What a promotion means: revisions that were not acknowledged may be gone, and nothing that was is.

use crate::support::{PATIENCE, node};
use onefold_coordination::store::{Acquired, Changes, Operation, Position, Store, Txn};
use onefold_coordination::{Config, Coordination, Error, MIGRATIONS, Postgres, Setting, Writer};
use onefold_core::TaskGroup;
use onefold_database::testing::TestCluster;
use onefold_database::{Database, MIGRATIONS as DATABASE};
use std::time::Duration;

const LIMIT: Setting<i64> = Setting::new("limit", 1);

async fn connect(cluster: &TestCluster, node: &onefold_coordination::Node) -> Database {
    let zone = "a".parse().unwrap();
    Database::connect(&cluster.config(), &node.name, &zone, &node.tasks, &node.metrics, node.clock.clone())
        .await
        .unwrap()
}

/// Asks until the new primary answers.
async fn in_the_end<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE * 2, asking).await.expect("the new primary answers in the end")
}

#[tokio::test]
async fn after_a_promotion_watchers_list_again_tokens_grow_and_nothing_set_is_lost() {
    let mut cluster = TestCluster::start(2).await;
    let one = node("one");
    let database = connect(&cluster, &one).await;
    database.migrate(&[DATABASE, MIGRATIONS]).await.unwrap();
    let store = Postgres::new(database.clone(), Duration::from_secs(5), TaskGroup::new());
    let coordination = Coordination::postgres(&database, &Config::default(), &one).await;
    let settings = coordination.settings();
    settings.register(&LIMIT).unwrap();
    let before = settings.set("limit", 2.into(), None, Writer::new("ada")).await.unwrap();
    let ttl = Duration::from_secs(2);
    let Acquired::Granted(first) = store.acquire("lease", "one", ttl).await.unwrap() else { panic!("free") };

    cluster.server_mut(0).kill();
    cluster.promote(1, &[2]).await;

    let taken = in_the_end(async || store.acquire("lease", "two", ttl).await.ok()).await;
    assert!(matches!(taken, Acquired::Held { .. }), "the holder has a ttl of grace: {taken:?}");
    let second = in_the_end(async || match store.acquire("lease", "two", ttl).await {
        Ok(Acquired::Granted(grant)) => Some(grant),
        _ => None,
    })
    .await;
    assert!(second.token > first.token);
    assert_eq!(store.changes("", before).await.unwrap(), Changes::Elsewhere);

    let mut limit = settings.watch(&LIMIT).unwrap();
    assert_eq!(*limit.borrow(), 2, "what was acknowledged is there");
    let after: Position = in_the_end(async || {
        let then = vec![Operation::put("settings/limit", 3.into())];
        store.commit(&Txn { then, ..Txn::default() }).await.ok().map(|outcome| outcome.position)
    })
    .await;
    assert!(after.epoch > before.epoch);
    tokio::time::timeout(PATIENCE, limit.wait_for(|limit| *limit == 3)).await.unwrap().unwrap();
}

/// The COMMIT cannot be taken back: it may be done when a standby is there again.
#[tokio::test]
async fn a_write_whose_standbys_are_away_has_an_unknown_outcome_and_reads_go_on() {
    let mut cluster = TestCluster::start(1).await;
    let one = node("one");
    let database = connect(&cluster, &one).await;
    database.migrate(&[DATABASE, MIGRATIONS]).await.unwrap();
    let config = Config { timeout: Duration::from_secs(1), ..Config::default() };
    let coordination = Coordination::postgres(&database, &config, &one).await;
    let settings = coordination.settings();
    settings.register(&LIMIT).unwrap();
    in_the_end(async || settings.set("limit", 2.into(), None, Writer::new("ada")).await.ok()).await;
    cluster.server_mut(1).kill();
    let unknown = settings.set("limit", 3.into(), None, Writer::new("ada")).await;
    assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");
    let behind_it = settings.set("limit", 4.into(), None, Writer::new("ada")).await;
    assert!(behind_it.is_err(), "writers stand in line");
    assert_eq!(settings.show("limit").await.unwrap().value, 2, "readers do not");
}
