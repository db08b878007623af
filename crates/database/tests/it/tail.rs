//! Tails of the outbox.

use crate::node::{Node, until};
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use onefold_database::testing::TestPostgres;
use onefold_database::{Effect, OutboxRecord, OutboxRow, Tail};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

struct Numbered(u8);

impl Effect for Numbered {
    fn record(&self) -> Option<OutboxRecord> {
        Some(OutboxRecord { subject: "test", payload: vec![self.0] })
    }

    fn committed(self: Box<Self>, _at: Lsn) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }
}

async fn server() -> (TestPostgres, Node) {
    let server = TestPostgres::start().await;
    let node = Node::start(&server.url()).await;
    (server, node)
}

async fn begun(node: &Node) -> Receiver<Tail> {
    let mut tail = node.database.tail("test");
    assert!(matches!(tail.recv().await, Some(Tail::Begin { floor }) if floor > Lsn::ZERO));
    tail
}

/// Reads until `done`, with a deadline.
async fn read(tail: &mut Receiver<Tail>, done: impl Fn(&[OutboxRow], Lsn) -> bool) -> (Vec<OutboxRow>, Lsn) {
    let (mut seen, mut reached) = (Vec::new(), Lsn::ZERO);
    let reading = async {
        while !done(&seen, reached) {
            match tail.recv().await {
                Some(Tail::Rows { rows, watermark }) => {
                    assert!(watermark >= reached, "a watermark never goes back");
                    seen.extend(rows);
                    reached = watermark;
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the tail goes on");
    (seen, reached)
}

#[tokio::test]
async fn every_committed_row_comes_once_in_the_order_of_transactions() {
    let (_server, node) = server().await;
    let mut tail = begun(&node).await;
    // It has its id before all others, and commits after them.
    let db = node.db();
    let mut old = db.begin().await.unwrap();
    old.execute("select pg_current_xact_id()", &[]).await.unwrap();

    let writers = (1..=40_u8).map(|i| {
        let db = node.db();
        async move {
            let mut tx = db.begin().await.unwrap();
            tx.execute("select pg_current_xact_id()", &[]).await.unwrap();
            tx.attach(Numbered(i));
            if i % 4 == 0 {
                tx.roll_back().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    old.attach(Numbered(0));
    let token = old.commit().await.unwrap().token;

    let (rows, _) = read(&mut tail, |_, watermark| watermark >= token.lsn).await;
    let mut payloads: Vec<u8> = rows.iter().map(|row| row.payload[0]).collect();
    assert_eq!(payloads[0], 0, "the oldest transaction's row comes first, though it was committed last");
    assert!(rows.is_sorted_by_key(|row| row.xid));
    payloads.sort_unstable();
    let committed: Vec<u8> = (0..=40).filter(|i| *i == 0 || i % 4 != 0).collect();
    assert_eq!(payloads, committed);
}

#[tokio::test]
async fn an_open_transaction_holds_back_rows_and_watermark_until_it_ends() {
    let (_server, node) = server().await;
    let mut tail = begun(&node).await;
    let (old_db, db) = (node.db(), node.db());
    let mut old = old_db.begin().await.unwrap();
    old.execute("select pg_current_xact_id()", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.attach(Numbered(1));
    let token = tx.commit().await.unwrap().token;
    let early = tokio::time::timeout(Duration::from_millis(500), read(&mut tail, |rows, _| !rows.is_empty()));
    assert!(early.await.is_err(), "rows of a transaction above the horizon");
    old.roll_back().await.unwrap();
    let (rows, watermark) = read(&mut tail, |_, watermark| watermark >= token.lsn).await;
    assert_eq!((rows.len(), watermark >= token.lsn), (1, true));
}

#[tokio::test]
async fn the_watermark_never_covers_a_commit_that_still_waits_for_its_standby() {
    let (server, node) = server().await;
    let mut tail = begun(&node).await;
    let (_, before) = read(&mut tail, |_, watermark| watermark > Lsn::ZERO).await;
    let client = server.client().await;
    client.batch_execute("alter system set synchronous_standby_names = 'nobody'").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";

    let db = node.db();
    let committing = async {
        until("the setting is in force", async || {
            let row = client.query_one("show synchronous_standby_names", &[]).await.unwrap();
            row.get::<_, &str>(0) == "nobody"
        })
        .await;
        let mut tx = db.begin().await.unwrap();
        tx.attach(Numbered(1));
        tx.commit().await.unwrap().token
    };
    let watching = async {
        until("the commit waits", async || client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1)
            .await;
        // A replica may show it already, and whoever reads there comes to cover its record, which lies below this.
        let flush = "select pg_current_wal_flush_lsn()::text";
        let written = client.query_one(flush, &[]).await.unwrap().get::<_, &str>(0).parse::<Lsn>().unwrap();
        // More log, and no transaction that gets an id or ends.
        client.batch_execute("checkpoint").await.unwrap();
        let mut reached = before;
        let looking = async {
            while let Some(Tail::Rows { rows, watermark }) = tail.recv().await {
                assert!(rows.is_empty());
                reached = watermark;
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(700), looking).await.is_err());
        client.batch_execute("alter system reset synchronous_standby_names").await.unwrap();
        client.batch_execute("select pg_reload_conf()").await.unwrap();
        (written, reached)
    };
    let (token, (written, reached)) = tokio::join!(committing, watching);
    assert!(written <= token.lsn);
    assert!(reached < written, "{reached} covers {written}");
    let (rows, _) = read(&mut tail, |_, watermark| watermark >= token.lsn).await;
    assert_eq!(rows.len(), 1, "and then it comes, without anything else being written");
}

#[tokio::test]
async fn a_lost_primary_is_a_gap_and_a_new_beginning() {
    let (server, node) = server().await;
    let mut tail = begun(&node).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and application_name = 'app-a'";
    server.client().await.batch_execute(end).await.unwrap();
    let reading = async {
        while tail.recv().await != Some(Tail::Gap) {}
        assert!(matches!(tail.recv().await, Some(Tail::Begin { .. })));
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
}
