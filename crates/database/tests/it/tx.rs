//! Transactions and their effects.

use crate::node::{Node, config, until};
use futures_util::StreamExt as _;
use onefold_core::process::BoxFuture;
use onefold_core::{Clock, Deadline, Lsn, Secret};
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Db, Effect, Error, OutboxRecord, Read, Session};
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

/// A server with a table, and a node with one connection for transactions.
async fn server_and_one_connection() -> (TestPostgres, Node) {
    let server = TestPostgres::start().await;
    server.client().await.batch_execute("create table item (id int primary key)").await.unwrap();
    let config = Config { url: Some(Secret::new(server.url())), exclusive_connections_max: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    node.database.migrate(&[]).await.unwrap();
    (server, node)
}

const BEGUN: &str = "select count(*) from pg_stat_activity where state = 'idle in transaction'";

#[tokio::test]
async fn the_server_hears_of_a_transaction_with_its_first_statement() {
    let (server, node) = server_and_one_connection().await;
    let client = server.client().await;
    let begun = async || client.query_one(BEGUN, &[]).await.unwrap().get::<_, i64>(0);
    let mut tx = node.db().begin().await.unwrap();
    assert_eq!(begun().await, 0);
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    assert_eq!(begun().await, 1);
    drop(tx);
    node.db().begin().await.unwrap().roll_back().await.unwrap();
    let mut tx = node.db().begin().await.unwrap();
    let _savepoint = tx.savepoint().await.unwrap();
    assert_eq!(begun().await, 1, "a savepoint is a statement too");
}

#[tokio::test]
async fn a_transaction_without_statements_commits_its_effects() {
    let (_server, node) = server_and_one_connection().await;
    let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
    let mut tx = db.begin().await.unwrap();
    tx.attach(Counted(Arc::clone(&happened)));
    assert!(tx.commit().await.unwrap().token.lsn > Lsn::ZERO);
    assert_eq!(happened.load(Ordering::SeqCst), 1);
    assert_eq!(count(&db, "select count(*) from onefold.outbox").await, 1);
}

/// Whatever it was used for before: a BEGIN that fails must find it so.
#[tokio::test]
async fn a_pooled_connection_rests_read_only() {
    let (_server, node) = server_and_one_connection().await;
    let (db, mut next) = (node.db(), 0);
    let mut rests = async |after: &str| {
        next += 1;
        let mut tx = db.begin().await.unwrap();
        let rests: String = tx.query_one("show default_transaction_read_only", &[]).await.unwrap();
        assert_eq!(rests, "on", "after {after}");
        tx.execute("insert into item values ($1)", &[&next]).await.unwrap();
        tx.commit().await.unwrap();
    };
    rests("its birth").await;
    assert_eq!(node.db().execute("insert into item values (100)", &[]).await.unwrap(), 1);
    rests("a single write").await;
    assert!(node.db().execute("insert into item values (100)", &[]).await.is_err());
    rests("a single write that was refused").await;
    let exclusive = node.database.exclusive().await.unwrap();
    exclusive.execute("insert into item values (101)", &[]).await.unwrap();
    drop(exclusive);
    rests("an exclusive use").await;
    let exclusive = node.database.exclusive().await.unwrap();
    let sleeping = exclusive.batch_execute("select pg_sleep(300)");
    assert!(tokio::time::timeout(Duration::from_millis(50), sleeping).await.is_err());
    drop(exclusive);
    rests("a use that was cancelled").await;
    let writing = node.db();
    let write = writing.execute("insert into item select 102 from pg_sleep(0.2)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(50), write).await.is_err());
    rests("a single write that nobody waited for").await;
    // That last one may have been dropped before it was sent.
    assert_eq!(count(&node.db(), "select count(*) from item where id <> 102").await, 8);
}

#[tokio::test]
async fn a_first_statement_on_a_connection_that_has_died_is_sent_on_another() {
    let (server, node) = server_and_one_connection().await;
    let mut tx = node.db().begin().await.unwrap();
    let pid: i32 = tx.query_one("select pg_backend_pid()", &[]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = node.db().begin().await.unwrap();
    server.client().await.query_one("select pg_terminate_backend($1, 20000)", &[&pid]).await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    let now: i32 = tx.query_one("select pg_backend_pid()", &[]).await.unwrap();
    assert_ne!(now, pid);
    tx.commit().await.unwrap();
    assert_eq!(count(&node.db(), "select count(*) from item").await, 1);
    let mut tx = node.db().begin().await.unwrap();
    tx.execute("insert into item values (2)", &[]).await.unwrap();
    server.client().await.query_one("select pg_terminate_backend($1, 20000)", &[&now]).await.unwrap();
    assert!(tx.execute("insert into item values (3)", &[]).await.is_err(), "what was begun is lost");
    assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    assert_eq!(count(&node.db(), "select count(*) from item").await, 1);
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
async fn a_commit_of_what_the_server_has_aborted_is_an_error() {
    let server = TestPostgres::start().await;
    server.client().await.batch_execute("create table item (id int primary key)").await.unwrap();
    let config = Config { url: Some(Secret::new(server.url())), exclusive_connections_max: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    node.database.migrate(&[]).await.unwrap();
    let db = node.db();
    // Everything that a commit prepares is prepared on the only connection.
    db.begin().await.unwrap().commit().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    // A stream that is dropped before its error: the server has aborted, and nobody here was told.
    let failing = "select 10 / (n - 1000) from generate_series(1, 2000) as n";
    let mut stream = Box::pin(tx.query_stream::<i32>(failing, &[]).await.unwrap());
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    assert_eq!(count(&db, "select count(*) from item").await, 0);
}

#[tokio::test]
async fn a_commit_that_is_refused_has_no_effects() {
    let (server, node) = server_with_table().await;
    let deferred = "alter table item add parent int references item deferrable initially deferred";
    server.client().await.batch_execute(deferred).await.unwrap();
    let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
    let mut tx = db.begin().await.unwrap();
    tx.execute("insert into item values (1, 99)", &[]).await.unwrap();
    tx.attach(Counted(Arc::clone(&happened)));
    let refused = tx.commit().await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23503");
    assert_eq!(happened.load(Ordering::SeqCst), 0);
    assert_eq!(count(&db, "select count(*) from onefold.outbox").await, 0);
}

#[tokio::test]
async fn a_transaction_dropped_in_a_statement_is_cancelled_and_its_connection_comes_back() {
    let server = TestPostgres::start().await;
    let config = Config { url: Some(Secret::new(server.url())), exclusive_connections_max: 1, ..config() };
    let node = Node::connect(&config, "a").await;
    node.database.migrate(&[]).await.unwrap();
    let db = node.db();
    let pid = "select pg_backend_pid()";
    let mut tx = db.begin().await.unwrap();
    let first: i32 = tx.query_one(pid, &[]).await.unwrap();
    let sleeping = tx.execute("select pg_sleep(60)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(50), sleeping).await.is_err());
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    let second: i32 = tx.query_one(pid, &[]).await.unwrap();
    assert_eq!(first, second, "the only connection is clean again, and the same");
    assert_eq!(count(&db, "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()").await, 0);
}

/// A server whose commits wait for a standby that never comes.
async fn server_whose_commits_wait() -> (TestPostgres, Node) {
    let (server, node) = server_with_table().await;
    let client = server.client().await;
    client.batch_execute("alter system set synchronous_standby_names = 'nobody'").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    until("the setting is in force", async || {
        let row = server.client().await.query_one("show synchronous_standby_names", &[]).await.unwrap();
        row.get::<_, &str>(0) == "nobody"
    })
    .await;
    (server, node)
}

const WAITING: &str = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";

#[tokio::test]
async fn a_commit_whose_wait_for_the_standby_is_cut_short_is_of_unknown_outcome() {
    let (server, node) = server_whose_commits_wait().await;
    for end in ["pg_cancel_backend", "pg_terminate_backend"] {
        let (db, happened) = (node.db(), Arc::new(AtomicU32::new(0)));
        let mut tx = db.begin().await.unwrap();
        tx.execute("insert into item select count(*) from item", &[]).await.unwrap();
        tx.attach(Counted(Arc::clone(&happened)));
        let client = server.client().await;
        let ending = async {
            until("the commit waits", async || {
                client.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) == 1
            })
            .await;
            let end = format!("select {end}(pid) from pg_stat_activity where wait_event = 'SyncRep'");
            client.batch_execute(&end).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(tx.commit(), ending);
        assert!(matches!(outcome, Err(Error::MaybeCommitted)), "{end}: {outcome:?}");
        assert_eq!(happened.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_commit_is_not_cancelled_by_its_deadline() {
    let (server, node) = server_whose_commits_wait().await;
    let deadline = Deadline::after(Clock::system().now(), Duration::from_millis(300));
    let db = node.database.db(Session::new().with_deadline(deadline));
    let mut tx = db.begin().await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    assert!(matches!(tx.commit().await, Err(Error::MaybeCommitted)));
    let client = server.client().await;
    assert_eq!(client.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0), 1, "it waits on");
    client.batch_execute("alter system reset synchronous_standby_names").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    until("it is committed after all", async || count(&node.db(), "select count(*) from item").await == 1)
        .await;
}

/// As of a node that hangs in the middle.
#[tokio::test]
async fn a_transaction_that_rests_for_too_long_gives_its_locks_back() {
    let server = TestPostgres::start().await;
    let other = server.client().await;
    other.batch_execute("create table item (id int primary key)").await.unwrap();
    let config = Config {
        url: Some(Secret::new(server.url())),
        idle_in_transaction_max: Duration::from_millis(300),
        ..config()
    };
    let node = Node::connect(&config, "a").await;
    node.database.migrate(&[]).await.unwrap();
    let db = node.db();
    let mut tx = db.begin().await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    // It waits for the first to end.
    other.execute("insert into item values (1)", &[]).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(!matches!(error, Error::MaybeCommitted), "it is certain that it was not: {error}");
    assert_eq!(count(&db, "select count(*) from item").await, 1);
}
