//! Reads on replicas, at every level.

use crate::node::{Node, until};
use onefold_core::Lsn;
use onefold_database::testing::TestCluster;
use onefold_database::{Db, Error, Read, ServerRole, Session, Stamp, Token};
use std::time::Duration;

const READ: &str = "select value from item where id = 1";
const ON_REPLICA: &str = "onefold_database_reads_total{server=\"replica\"}";
const ON_PRIMARY: &str = "onefold_database_reads_total{server=\"primary\"}";

/// A cluster whose first replica stands in zone b, with one row of value 0.
async fn cluster_with_item() -> TestCluster {
    let cluster = TestCluster::start(2).await;
    let client = cluster.server(0).client().await;
    client.batch_execute("create table item (id int primary key, value int)").await.unwrap();
    client.batch_execute("insert into item values (1, 0)").await.unwrap();
    cluster
}

async fn read(db: &Db, level: Read) -> i32 {
    db.read(level).query_one(READ, &[]).await.unwrap()
}

async fn write(db: &Db, value: i32) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("update item set value = $1 where id = 1", &[&value]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_session_never_misses_its_writes_with_a_replica_held_back() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    let mut db = node.db();
    for value in 1..=100 {
        if value == 20 {
            cluster.pause_replay(1).await;
        }
        if value == 80 {
            cluster.resume_replay(1).await;
        }
        write(&db, value).await;
        db = node.next_request(&db);
        assert_eq!(read(&db, Read::YourWrites).await, value);
        db = node.next_request(&db);
        assert_eq!(read(&db, Read::YourWrites).await, value, "and never goes back");
    }
    assert!(node.counted(ON_REPLICA) > 100, "{} of 200 on replicas", node.counted(ON_REPLICA));
}

/// A replica shows a commit before the primary does, which waits to hear of it. Here the replica's answer is held up.
#[tokio::test]
async fn what_a_replica_has_shown_is_awaited_on_the_primary() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    let mut db = node.db();
    write(&db, 0).await;
    cluster.pause_replay(1).await;
    cluster.pause_replay(2).await;
    let replica = cluster.server(1).client().await;
    let receives =
        "select pid, pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() from pg_stat_wal_receiver";
    let writer = node.db();
    let committing = write(&writer, 1);
    let reading = async {
        until("the commit has arrived", async || replica.query_one(receives, &[]).await.unwrap().get(1))
            .await;
        let receiver: i32 = replica.query_one(receives, &[]).await.unwrap().get(0);
        signal("-STOP", receiver);
        cluster.resume_replay(1).await;
        db = node.next_request(&db);
        until("the replica shows it", async || read(&db, Read::Any).await == 1).await;
        assert_eq!(read(&node.db(), Read::Strong).await, 0, "the primary does not");
        db = node.next_request(&db);
        let (value, ()) = tokio::join!(read(&db, Read::Strong), async { signal("-CONT", receiver) });
        let unsettled = node.counted("onefold_database_reads_unsettled_total");
        assert!(value == 1 || unsettled == 1, "back to {value}");
    };
    tokio::join!(committing, reading);
    db = node.next_request(&db);
    assert_eq!(read(&db, Read::Strong).await, 1);
}

fn signal(name: &str, pid: i32) {
    let sent = std::process::Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn each_level_may_miss_what_it_says_and_no_more() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    cluster.pause_replay(1).await;
    let writer = node.db();
    write(&writer, 1).await;

    // The replica of this zone still shows 0, to those who ask for nothing better.
    assert_eq!(read(&node.db(), Read::Any).await, 0);
    assert_eq!(read(&node.db(), Read::Strong).await, 1);
    assert_eq!(read(&writer, Read::YourWrites).await, 1);
    assert_eq!(read(&node.db(), Read::YourWrites).await, 0, "another session has written nothing");
    // A connection must be older than a probe before it may vouch for a staleness.
    let bounded = async || read(&node.db(), Read::Bounded(Duration::from_mins(2))).await;
    until("the replica serves it", async || bounded().await == 0).await;
    let lag = || node.database.servers()[1].lag;
    until("it is known to be stale", async || lag() > Some(Duration::from_millis(400))).await;
    let replica = format!("{{server=\"{}\"}}", node.database.servers()[1].name);
    assert!(node.gauge(&format!("onefold_database_replica_lag_seconds{replica}")) > 0.4);
    assert!(node.gauge(&format!("onefold_database_server_up{replica}")) > 0.0);
    assert_eq!(read(&node.db(), Read::Bounded(Duration::from_millis(300))).await, 1);

    cluster.resume_replay(1).await;
    until("the replica has caught up", async || read(&node.db(), Read::Any).await == 1).await;
}

#[tokio::test]
async fn a_loader_reads_at_least_what_it_must_and_says_what_it_saw() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    let writer = node.db();
    write(&writer, 1).await;
    let least = writer.session().lsn();

    let reader = node.db().read_at_least(least);
    assert_eq!(reader.stamp(), None);
    assert_eq!(reader.query_one::<i32>(READ, &[]).await.unwrap(), 1);
    assert!(reader.stamp().unwrap().serves(least), "{:?}", reader.stamp());
    assert!(reader.evidence().unwrap().shown.lsn >= least, "{:?}", reader.evidence());
    drop(reader.query_stream::<i32>(READ, &[]).await.unwrap());
    assert_eq!(reader.evidence(), None, "a stream says nothing of what it shows");

    // Nobody has come so far: the primary must read, and vouches only for what lies below its position.
    let reader = node.db().read_at_least(onefold_core::Lsn(u64::MAX));
    assert_eq!(reader.query_one::<i32>(READ, &[]).await.unwrap(), 1);
    assert!(matches!(reader.stamp(), Some(Stamp::Flushed(lsn)) if lsn >= least));
    assert!(node.counted(ON_PRIMARY) >= 1);
}

#[tokio::test]
async fn a_read_that_writes_is_an_error_and_not_a_wrong_server() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    for level in [Read::Strong, Read::Any] {
        let refused =
            node.db().read(level).query::<i32>("delete from item returning id", &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "25006", "{level}: {refused}");
    }
    assert_eq!(read(&node.db(), Read::Strong).await, 0);
}

#[tokio::test]
async fn a_dead_replica_costs_no_read() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    assert_eq!(read(&node.db(), Read::Any).await, 0);
    cluster.server_mut(1).kill();
    for _ in 0..50 {
        assert_eq!(read(&node.db(), Read::Any).await, 0);
    }
    let role = || node.database.servers()[1].role;
    until("it is found dead", async || role() == ServerRole::Unreachable).await;
    assert_eq!(read(&node.db(), Read::YourWrites).await, 0);
}

#[tokio::test]
async fn a_promoted_replica_is_found_and_old_tokens_are_proven_or_reissued() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    let mut db = node.db();
    write(&db, 1).await;
    assert_eq!(db.session().token().unwrap().timeline, 1);
    // Either replica may have acknowledged the write, and only one that has it may be promoted.
    let replayed = || node.database.servers()[1].lsn;
    until("the replica has the write", async || replayed() >= db.session().lsn()).await;

    cluster.server_mut(0).kill();
    cluster.promote(1, &[2]).await;
    until("the promoted one is found", async || node.database.timeline() == Some(2)).await;
    let role = |index: usize| node.database.servers()[index].role;
    until("the roles are known", async || {
        (role(0), role(1)) == (ServerRole::Unreachable, ServerRole::Primary)
    })
    .await;

    db = node.next_request(&db);
    assert_eq!(read(&db, Read::YourWrites).await, 1);
    write(&db, 2).await;
    assert_eq!(db.session().token().unwrap().timeline, 2);
    db = node.next_request(&db);
    assert_eq!(read(&db, Read::YourWrites).await, 2);
    until("the other replica follows", async || node.database.servers()[2].timeline == 2).await;
    let before = node.counted(ON_REPLICA);
    until("it serves the session", async || {
        assert_eq!(read(&db, Read::YourWrites).await, 2);
        node.counted(ON_REPLICA) > before
    })
    .await;
}

#[tokio::test]
async fn a_token_beyond_the_switch_of_a_failover_is_served_by_the_primary_and_issued_anew() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "c").await;
    cluster.server_mut(0).kill();
    cluster.promote(1, &[2]).await;
    until("the promoted one is found", async || node.database.timeline() == Some(2)).await;
    until("the other replica follows", async || node.database.servers()[2].timeline == 2).await;

    // What the dead primary had flushed and nobody received.
    let keys = node.database.keys().unwrap();
    let lost = Token { cluster: keys.cluster(), timeline: 1, lsn: Lsn(u64::MAX), confirmed: true };
    let text = keys.sign(&lost);
    let db = node.database.db(Session::resume([text.as_str()], keys));
    assert_eq!(read(&db, Read::YourWrites).await, 0);
    assert_eq!(node.counted("onefold_database_fallbacks_total{reason=\"unproven_token\"}"), 1);
    let issued = db.session().token().unwrap();
    assert_eq!(issued.timeline, 2);
    assert!(issued.lsn < lost.lsn);
    let next = node.next_request(&db);
    assert_eq!(read(&next, Read::YourWrites).await, 0);
    assert_eq!(node.counted("onefold_database_fallbacks_total{reason=\"unproven_token\"}"), 1);
}

#[tokio::test]
async fn while_no_primary_is_known_reads_of_level_any_go_on_and_writes_wait_for_their_deadline() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    cluster.server_mut(0).kill();
    until("the loss is noticed", async || node.database.timeline().is_none()).await;
    assert_eq!(read(&node.db(), Read::Any).await, 0);
    let now = onefold_core::Clock::system().now();
    let deadline = onefold_core::Deadline::after(now, Duration::from_millis(100));
    let db = node.database.db(onefold_database::Session::new().with_deadline(deadline));
    assert!(matches!(db.begin().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn no_read_fails_though_all_replicas_fall_at_once() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    until("a replica reads", async || {
        read(&node.db(), Read::Any).await;
        node.counted(ON_REPLICA) > 0
    })
    .await;
    let before = node.counted(ON_PRIMARY);
    let reading = async {
        while node.counted(ON_PRIMARY) < before + 100 {
            let dbs = [node.db(), node.db(), node.db(), node.db()];
            let reads = dbs.iter().map(|db| read(db, Read::Any));
            futures_util::future::join_all(reads).await;
        }
    };
    let killing = async {
        cluster.server_mut(1).kill();
        cluster.server_mut(2).kill();
    };
    tokio::join!(reading, killing);
}

/// Connections that are open may work on for long after a postmaster has stopped, and it lets in nobody new.
#[tokio::test]
async fn a_replica_that_lets_nobody_in_is_not_waited_for() {
    let cluster = cluster_with_item().await;
    let stopped = i32::try_from(cluster.server(1).pid()).unwrap();
    // Known from a probe, and then without any connection for reads.
    let node = Node::of(&cluster, "b").await;
    signal("-STOP", stopped);
    until("the primary, or the other replica, reads in its place", async || {
        read(&node.db(), Read::Any).await;
        node.counted("onefold_database_read_retries_total") > 0
    })
    .await;
    signal("-CONT", stopped);
}
