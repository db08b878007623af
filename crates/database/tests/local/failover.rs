//! Another server takes over, whatever befalls the primary, and no acknowledged write is lost.

use crate::cluster::{Cluster, children_of, signal, until};
use crate::writer::Writer;

const NAMES: [&str; 3] = ["postgres-1", "postgres-2", "postgres-3"];

/// Kills one primary and then its successor; then everything is stopped and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let writer = Writer::start(&cluster).await;
    for epoch in 2..=3 {
        writer.more(20).await;
        let fallen = cluster.primary();
        signal(cluster.pid_of(&fallen), "KILL");
        let next = cluster.promoted(epoch).await;
        assert_ne!(next, fallen);
        writer.more(20).await;
        cluster.hears(&format!("{next} was replica and is primary now"));
        cluster.hears(&format!("{fallen} is back"));
        cluster.both_follow().await;
        cluster.forget();
        let roles = NAMES.map(|name| if name == next { "primary" } else { "replica" });
        until(async || cluster.roles() == roles).await;
    }
    let written = writer.stop().await;
    written.all_kept(&cluster).await;
    let primary = cluster.primary();
    cluster.end("TERM");
    cluster.resume();
    assert_eq!(cluster.epoch(), (3, primary, true));
    cluster.both_follow().await;
    written.all_kept(&cluster).await;
}

/// A stopped postmaster leaves its backends working; it is killed with them, and what they did is kept or was not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_is_killed_and_replaced() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let writer = Writer::start(&cluster).await;
    writer.more(20).await;
    let hanging = cluster.pid_of("postgres-1");
    signal(hanging, "STOP");
    let next = cluster.promoted(2).await;
    assert_ne!(next, "postgres-1");
    cluster.hears("postgres-1 gave no answer for");
    writer.more(20).await;
    writer.stop().await.all_kept(&cluster).await;
    cluster.hears("postgres-1 is back");
    cluster.both_follow().await;
}

/// Backends of a killed postmaster live on for a moment, and longest where they are stopped: none of them may be left
/// to commit once another server has been chosen.
#[tokio::test]
async fn an_orphaned_backend_is_gone_before_another_is_chosen() {
    let cluster = Cluster::start();
    cluster.both_follow().await;
    let orphan = cluster.application("postgres-1").await;
    orphan.batch_execute("create table t (x int)").await.unwrap();
    orphan.batch_execute("begin; insert into t values (1)").await.unwrap();
    let pid: i32 = orphan.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let postmaster = cluster.pid_of("postgres-1");
    let children = children_of(postmaster);
    signal(pid.unsigned_abs(), "STOP");
    signal(postmaster, "KILL");
    until(async || cluster.epoch().0 == 2).await;
    for child in children {
        assert!(!std::path::Path::new(&format!("/proc/{child}")).exists(), "{child} is left of the tree");
    }
    let next = cluster.promoted(2).await;
    assert!(orphan.batch_execute("commit").await.is_err());
    let primary = cluster.application(&next).await;
    let kept = primary.query_one("select count(*) from t", &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(kept, 0, "it was never committed");
}

/// The one replica that is left may lack what the other has acknowledged: it must wait for its word.
#[tokio::test]
async fn nobody_is_chosen_without_the_word_of_a_dead_replica() {
    let cluster = Cluster::start();
    cluster.both_follow().await;
    let (third, application) = (cluster.admin("postgres-3").await, cluster.application("postgres-1").await);
    application.batch_execute("create table t (x int)").await.unwrap();
    until(async || third.query_one("select count(*) from t", &[]).await.is_ok()).await;
    let receiver = "select pid from pg_stat_activity where backend_type = 'walreceiver'";
    let receiver = third.query_one(receiver, &[]).await.unwrap().get::<_, i32>(0).unsigned_abs();
    // What is sent to it from here on it never reads, so that the second alone acknowledges.
    signal(receiver, "STOP");
    application.execute("insert into t values (1)", &[]).await.unwrap();
    signal(cluster.pid_of("postgres-2"), "KILL");
    signal(cluster.pid_of("postgres-1"), "KILL");
    signal(receiver, "KILL");
    // On a machine that has no time for it the first is started again instead; the third never is what it must not be.
    until(async || {
        let primary = cluster.primary();
        assert_ne!(primary, "postgres-3", "it lacks what the second has acknowledged");
        let Some(client) = cluster.reach(&primary).await else { return false };
        let kept = client.query_one("select count(*), pg_is_in_recovery() from t", &[]).await;
        kept.is_ok_and(|row| row.get::<_, i64>(0) == 1 && !row.get::<_, bool>(1))
    })
    .await;
    cluster.both_follow().await;
}

/// What is acknowledged by a primary alone is on it alone: nobody takes over from it until a replica has that.
#[tokio::test]
async fn a_primary_that_may_go_on_alone_is_replaced_by_nobody_who_lacks_what_it_did() {
    let mut cluster = Cluster::start_that_continues();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int)").await.unwrap();
    for replica in ["postgres-2", "postgres-3"] {
        cluster.break_settings(replica, true);
        signal(cluster.pid_of(replica), "KILL");
    }
    until(async || cluster.is_alone()).await;
    // It may wait for a replica until none needs to acknowledge it any more.
    application.execute("insert into t values (1)", &[]).await.unwrap();
    signal(cluster.pid_of("postgres-1"), "KILL");
    cluster.hears("postgres-1 is back");
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (2)", &[]).await.unwrap();
    for replica in ["postgres-2", "postgres-3"] {
        cluster.break_settings(replica, false);
    }
    until(async || !cluster.is_alone()).await;
    assert_eq!(cluster.epoch(), (1, "postgres-1".to_owned(), true), "nobody took over");
    let waits = "select current_setting('synchronous_standby_names') <> ''";
    until(async || application.query_one(waits, &[]).await.unwrap().get(0)).await;
    let kept = application.query_one("select count(*) from t", &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(kept, 2);
}
