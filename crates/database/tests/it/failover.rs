//! The primary found again: by asking, by an epoch file, and never two of them.

use crate::node::{Node, config, until};
use crate::proxy::Proxy;
use onefold_core::{Clock, Deadline, Secret};
use onefold_database::testing::TestCluster;
use onefold_database::{Config, Epoch, Error, Read, ReplicaUrl, ServerRole, Session};
use std::time::Duration;

const READ: &str = "select value from item where id = 1";
const WRITE: &str = "update item set value = $1 where id = 1";

/// A cluster whose commits wait for no standby: a promoted server goes on alone, for the other may be ahead of the switch.
async fn cluster_with_item() -> TestCluster {
    let cluster = TestCluster::start(2).await;
    let client = cluster.server(0).client().await;
    client.batch_execute("alter role postgres set synchronous_commit = local").await.unwrap();
    client.batch_execute("create table item (id int primary key, value int)").await.unwrap();
    client.batch_execute("insert into item values (1, 0)").await.unwrap();
    for index in 1..=2 {
        let replica = cluster.server(index).client().await;
        until("the replica has it", async || replica.query_one(READ, &[]).await.is_ok()).await;
    }
    cluster
}

fn timeline(node: &Node, expected: u32) -> bool {
    node.database.timeline() == Some(expected)
}

async fn value_at(cluster: &TestCluster, index: usize) -> i32 {
    cluster.server(index).client().await.query_one(READ, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_write_waits_for_the_next_primary_within_its_deadline() {
    let mut cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    node.db().execute(WRITE, &[&1]).await.unwrap();
    until("both replicas have it", async || value_at(&cluster, 1).await == 1).await;
    cluster.server_mut(0).kill();
    // Until then a backend that is about to die may begin a transaction, and take it along.
    until("the loss is noticed", async || node.database.timeline().is_none()).await;

    let deadline = Deadline::after(Clock::system().now(), Duration::from_mins(1));
    let db = node.database.db(Session::new().with_deadline(deadline));
    let in_transaction = async {
        let mut tx = db.begin().await?;
        tx.execute("update item set value = value + 10 where id = 1", &[]).await?;
        tx.commit().await
    };
    let single = db.execute("update item set value = value + 100 where id = 1", &[]);
    let (promoted, in_transaction, single) = tokio::join!(cluster.promote(1, &[]), in_transaction, single);
    let ((), _, touched) = (promoted, in_transaction.unwrap(), single.unwrap());
    assert_eq!(touched, 1);
    assert_eq!(node.db().read(Read::Strong).query_one::<i32>(READ, &[]).await.unwrap(), 111);
}

#[tokio::test]
async fn an_old_primary_that_still_runs_gets_no_writes_and_is_named() {
    let cluster = cluster_with_item().await;
    let node = Node::of(&cluster, "b").await;
    // Open on the old one when the new one is promoted: it must not commit there.
    let mut late = node.db().begin().await.unwrap();
    late.execute(WRITE, &[&9]).await.unwrap();
    cluster.promote(1, &[]).await;
    until("the promoted one is found", async || timeline(&node, 2)).await;
    assert!(late.commit().await.is_err());
    for value in 1..=20 {
        node.db().execute(WRITE, &[&value]).await.unwrap();
    }
    assert_eq!((value_at(&cluster, 0).await, value_at(&cluster, 1).await), (0, 20));
    let old = &node.database.servers()[0];
    assert_eq!(old.role, ServerRole::Primary);
    assert!(old.trouble.as_ref().unwrap().contains("is not used"), "{old:?}");
    assert!(node.gauge("onefold_database_rival_primaries") > 0.0);
}

#[tokio::test]
async fn an_epoch_file_fences_whoever_it_does_not_name() {
    let cluster = cluster_with_item().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("epoch.json");
    let publish = |epoch, primary: &str| {
        Epoch { epoch, primary: primary.parse().unwrap(), promoted: true }.publish(&path).unwrap();
    };
    publish(1, "n1");
    let config = Config { servers: cluster.config().servers, epoch_file: Some(path.clone()), ..config() };
    let node = Node::connect(&config, "b").await;
    node.database.migrate(&[]).await.unwrap();

    // Promoted, and not named: whatever its timeline, it gets nothing.
    cluster.promote(1, &[]).await;
    until("the rival is seen", async || node.database.servers()[1].trouble.is_some()).await;
    node.db().execute(WRITE, &[&1]).await.unwrap();
    assert_eq!((value_at(&cluster, 0).await, value_at(&cluster, 1).await), (1, 0));

    let session = node.db();
    session.execute(WRITE, &[&2]).await.unwrap();
    let mut late = node.db().begin().await.unwrap();
    late.execute(WRITE, &[&9]).await.unwrap();
    publish(2, "n2");
    until("the named one is found", async || timeline(&node, 2)).await;
    assert!(late.commit().await.is_err());
    node.db().execute(WRITE, &[&3]).await.unwrap();
    assert_eq!((value_at(&cluster, 0).await, value_at(&cluster, 1).await), (2, 3));

    // An older number, and another server under the same one, are no news.
    for (epoch, primary) in [(1, "n1"), (2, "n1")] {
        publish(epoch, primary);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(timeline(&node, 2));
        node.db().execute(WRITE, &[&4]).await.unwrap();
    }
    assert_eq!(value_at(&cluster, 0).await, 2);
}

#[tokio::test]
async fn the_named_server_is_waited_for_even_if_another_is_there() {
    let cluster = cluster_with_item().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("epoch.json");
    Epoch { epoch: 7, primary: "n2".parse().unwrap(), promoted: false }.publish(&path).unwrap();
    let config = Config {
        servers: cluster.config().servers,
        epoch_file: Some(path),
        connect_timeout: Duration::from_millis(500),
        ..config()
    };
    let refused = Node::attempt(&config, "b").await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_) | Error::NoPrimary(_)), "{refused}");
}

/// An address that leads to one replica after the other, as a reader endpoint does.
#[tokio::test]
async fn an_address_that_hides_several_servers_is_found_out() {
    let cluster = cluster_with_item().await;
    let ports = [cluster.server(1).port(), cluster.server(2).port()];
    let proxy = Proxy::start(ports).await;
    let hidden =
        ReplicaUrl { url: Secret::new(proxy.url()), zone: Some("b".parse().unwrap()), hides_several: false };
    let config =
        Config { url: Some(Secret::new(cluster.server(0).url())), replica_urls: vec![hidden], ..config() };
    let node = Node::connect(&config, "b").await;
    node.database.migrate(&[]).await.unwrap();
    let read = async |level| node.db().read(level).query_one::<i32>(READ, &[]).await.unwrap();
    // Each read that stands in line opens further connections, which lead to the other replica.
    until("it is found out", async || {
        read(Read::Any).await;
        let before = node.counted("onefold_database_reads_total{server=\"replica\"}");
        read(Read::Bounded(Duration::from_mins(10))).await;
        before > 0 && before == node.counted("onefold_database_reads_total{server=\"replica\"}")
    })
    .await;
    cluster.pause_replay(1).await;
    let mut db = node.db();
    for value in 1..=20 {
        db.execute(WRITE, &[&value]).await.unwrap();
        db = node.next_request(&db);
        assert_eq!(db.read(Read::YourWrites).query_one::<i32>(READ, &[]).await.unwrap(), value);
    }
}
