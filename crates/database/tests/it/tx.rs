//! Transactions and their effects.

use crate::node::Node;
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use onefold_database::testing::TestPostgres;
use onefold_database::{Db, Effect, Error, OutboxRecord, Read, Tail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts how often it happened.
struct Counted(Arc<AtomicU32>);

impl Effect for Counted {
    fn record(&self) -> Option<OutboxRecord> {
        Some(OutboxRecord { subject: "test", payload: b"counted".to_vec() })
    }

    fn committed(self: Box<Self>, at: Lsn) -> BoxFuture<'static, bool> {
        assert!(at > Lsn::ZERO);
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(true))
    }
}

async fn server_with_table() -> (TestPostgres, Node) {
    let server = TestPostgres::start().await;
    server.client().await.batch_execute("create table item (id int primary key)").await.unwrap();
    let node = Node::start(&server.url()).await;
    (server, node)
}

async fn count(db: &Db, sql: &str) -> i64 {
    db.read(Read::Strong).query_one(sql, &[]).await.unwrap()
}

#[tokio::test]
async fn a_committed_transactions_effects_happen_once_and_leave_a_record() {
    let (_server, node) = server_with_table().await;
    let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.execute("insert into item values ($1)", &[&1]).await.unwrap(), 1);
    tx.attach(Counted(Arc::clone(&happened)));
    let committed = tx.commit().await.unwrap();
    assert!(committed.confirmed);
    assert_eq!(happened.load(Ordering::SeqCst), 1);
    assert_eq!(db.session().token(), Some(committed.token));
    assert_eq!(count(&db, "select count(*) from item").await, 1);
    assert_eq!(count(&db, "select count(*) from onefold.outbox where subject = 'test'").await, 1);
}

#[tokio::test]
async fn a_rolled_back_transactions_effects_never_happen() {
    let (_server, node) = server_with_table().await;
    let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
    let begun = async || {
        let mut tx = db.begin().await.unwrap();
        tx.execute("insert into item values (1)", &[]).await.unwrap();
        tx.attach(Counted(Arc::clone(&happened)));
        tx
    };
    drop(begun().await);
    begun().await.roll_back().await.unwrap();
    let mut poisoned = begun().await;
    assert!(matches!(poisoned.execute("select 1/0", &[]).await, Err(Error::Database(_))));
    assert!(matches!(poisoned.execute("select 1", &[]).await, Err(Error::Aborted)));
    assert!(matches!(poisoned.commit().await, Err(Error::Aborted)));
    assert_eq!(happened.load(Ordering::SeqCst), 0);
    assert_eq!(count(&db, "select count(*) from item").await, 0);
    assert_eq!(count(&db, "select count(*) from onefold.outbox").await, 0);
}

#[tokio::test]
async fn a_savepoint_heals_a_poisoned_transaction_and_drops_the_effects_since() {
    let (_server, node) = server_with_table().await;
    let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
    let mut tx = db.begin().await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    let savepoint = tx.savepoint().await.unwrap();
    tx.attach(Counted(Arc::clone(&happened)));
    assert!(tx.execute("insert into item values (1)", &[]).await.is_err());
    tx.roll_back_to(savepoint).await.unwrap();
    tx.execute("insert into item values (2)", &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(happened.load(Ordering::SeqCst), 0);
    assert_eq!(count(&db, "select count(*) from item").await, 2);
}

#[tokio::test]
async fn a_tail_gives_every_committed_row() {
    let (_server, node) = server_with_table().await;
    let mut tail = node.database.tail("test");
    assert!(matches!(tail.recv().await, Some(Tail::Begin { .. })));
    let db = node.db();
    let mut tx = db.begin().await.unwrap();
    tx.attach(Counted(Arc::default()));
    let token = tx.commit().await.unwrap().token;
    let mut seen = 0;
    let reading = async {
        while let Some(Tail::Rows { rows, watermark }) = tail.recv().await {
            seen += rows.len();
            // Something else must have written since, for the watermark to pass the token.
            node.database
                .db(onefold_database::Session::new())
                .execute("insert into item values (1) on conflict do nothing", &[])
                .await
                .unwrap();
            if watermark >= token.lsn {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
    assert_eq!(seen, 1);
}
