//! The same request twice.

use crate::node::Node;
use onefold_core::process::BoxFuture;
use onefold_core::{Clock, Deadline, Lsn};
use onefold_database::idempotency::{Begun, Claim, StoredAnswer};
use onefold_database::testing::TestPostgres;
use onefold_database::{Db, Effect, Error, OutboxRecord, Read, Session, Tx};
use std::time::Duration;

struct Recorded;

impl Effect for Recorded {
    fn record(&self) -> Option<OutboxRecord> {
        Some(OutboxRecord { subject: "test", payload: vec![0, 255, 7] })
    }

    fn committed(self: Box<Self>, _at: Lsn) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }
}

async fn server() -> (TestPostgres, Node) {
    let server = TestPostgres::start().await;
    server.client().await.batch_execute("create table item (id int)").await.unwrap();
    let node = Node::start(&server.url()).await;
    (server, node)
}

fn claim(fingerprint: &str) -> Claim {
    Claim {
        scope: "alice POST /links".to_owned(),
        key: "k1".to_owned(),
        fingerprint: fingerprint.as_bytes().to_vec(),
    }
}

async fn first(db: &Db) -> Tx {
    match db.begin_claimed(&claim("body")).await.unwrap() {
        Begun::Tx(mut tx) => {
            tx.execute("insert into item values (1)", &[]).await.unwrap();
            *tx
        }
        Begun::Answered(answer) => panic!("answered before: {answer:?}"),
    }
}

async fn answered(db: &Db) -> StoredAnswer {
    match db.begin_claimed(&claim("body")).await.unwrap() {
        Begun::Answered(answer) => answer,
        Begun::Tx(_) => panic!("the key is new"),
    }
}

async fn count(node: &Node, sql: &str) -> i64 {
    node.db().read(Read::Strong).query_one(sql, &[]).await.unwrap()
}

#[tokio::test]
async fn a_twin_waits_for_the_first_and_gets_its_answer() {
    let (_server, node) = server().await;
    let (db, twin) = (node.db(), node.db());
    let mut tx = first(&db).await;
    let committing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tx.store_answer(b"created".to_vec());
        tx.attach(Recorded);
        tx.commit().await.unwrap()
    };
    let (committed, answer) = tokio::join!(committing, answered(&twin));
    assert_eq!(answer.answer.as_deref(), Some(b"created".as_slice()));
    assert_eq!(count(&node, "select count(*) from item").await, 1);

    // The twin's token covers the first's commit, and its invalidations are applied once more.
    assert!(answer.token.lsn >= committed.token.lsn && !answer.token.confirmed);
    assert_eq!(twin.session().token(), Some(answer.token));
    let again = "select count(*) from onefold.outbox where subject = 'test' and payload = '\\x00ff07'";
    assert_eq!(count(&node, again).await, 2);
}

#[tokio::test]
async fn a_twin_does_the_work_if_the_first_does_not() {
    let (_server, node) = server().await;
    let (db, twin) = (node.db(), node.db());
    let dead = first(&db).await;
    let dying = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(dead);
    };
    let (tx, ()) = tokio::join!(first(&twin), dying);
    tx.commit().await.unwrap();
    assert_eq!(count(&node, "select count(*) from item").await, 1);
    assert_eq!(answered(&db).await.answer, None, "it was committed without an answer");
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let (_server, node) = server().await;
    first(&node.db()).await.commit().await.unwrap();
    assert!(matches!(node.db().begin_claimed(&claim("other body")).await, Err(Error::KeyReused)));
}

#[tokio::test]
async fn a_twin_waits_no_longer_than_its_deadline() {
    let (_server, node) = server().await;
    let db = node.db();
    let _tx = first(&db).await;
    let impatient = || {
        let deadline = Deadline::after(Clock::system().now(), Duration::from_millis(300));
        node.database.db(Session::new().with_deadline(deadline))
    };
    // The second waits for the row, the third for the second's place; neither waits past its own deadline.
    let (second, third) = (impatient(), impatient());
    let (second_claim, third_claim) = (claim("body"), claim("body"));
    let (second, third) =
        tokio::join!(second.begin_claimed(&second_claim), third.begin_claimed(&third_claim));
    for outcome in [second, third] {
        assert!(matches!(outcome, Err(Error::KeyBusy { .. } | Error::Timeout)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_key_is_new_again_after_its_window() {
    let (server, node) = server().await;
    first(&node.db()).await.commit().await.unwrap();
    let age = "update onefold.idempotency set created_at = now() - interval '25 h'";
    server.client().await.batch_execute(age).await.unwrap();
    first(&node.db()).await.commit().await.unwrap();
    assert_eq!(count(&node, "select count(*) from item").await, 2);
}
