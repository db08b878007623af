//! Behind a real PgBouncer.

use crate::node::{Node, config, until};
use onefold_core::Secret;
use onefold_database::testing::{Pooling, TestPooler, TestPostgres};
use onefold_database::{Config, Heard, Read};
use std::time::Duration;

#[tokio::test]
async fn a_transaction_pooler_is_refused_and_nothing_leaks_into_it() {
    let server = TestPostgres::start().await;
    let pooler = TestPooler::start(&server, Pooling::Transaction).await;
    let through = Config { url: Some(Secret::new(pooler.url())), ..config() };
    let refused = Node::attempt(&through, "a").await.unwrap_err().to_string();
    assert!(refused.contains("transaction pooler") && refused.contains("database.direct_url"), "{refused}");
    let others = pooler.client().await;
    let row = others.query_one("select current_setting('default_transaction_read_only')", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "off");

    let direct = Config { direct_url: Some(Secret::new(server.url())), ..through };
    let node = Node::connect(&direct, "a").await;
    node.database.migrate(&[]).await.unwrap();
    assert_eq!(node.db().read(Read::Strong).query_one::<i32>("select 6 * 7", &[]).await.unwrap(), 42);
}

#[tokio::test]
async fn behind_a_session_pooler_everything_works() {
    let server = TestPostgres::start().await;
    let pooler = TestPooler::start(&server, Pooling::Session).await;
    let node = Node::start(&pooler.url()).await;
    let db = node.db();
    let mut tx = db.begin().await.unwrap();
    tx.execute("create table item (id int)", &[]).await.unwrap();
    tx.execute("insert into item values (1)", &[]).await.unwrap();
    tx.commit().await.unwrap();
    db.execute("insert into item values ($1)", &[&2]).await.unwrap();
    let count: i64 = db.read(Read::YourWrites).query_one("select count(*) from item", &[]).await.unwrap();
    assert_eq!(count, 2);

    let mut heard = node.database.listen("test");
    let mut next = async || tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.unwrap();
    assert_eq!(next().await, Some(Heard::Subscribed));
    node.database.notify("test", "one".to_owned());
    assert_eq!(next().await, Some(Heard::Payload("one".to_owned())));

    // A call dropped half-way is cancelled through the pooler too.
    let exclusive = node.database.exclusive().await.unwrap();
    let sleeping = exclusive.batch_execute("select pg_sleep(300)");
    assert!(tokio::time::timeout(Duration::from_millis(50), sleeping).await.is_err());
    drop(exclusive);
    let asleep =
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active'";
    let client = server.client().await;
    until("nothing sleeps", async || client.query_one(asleep, &[]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
}
