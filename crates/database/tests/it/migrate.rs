//! Migrations.

use crate::node::{Node, config};
use onefold_core::Secret;
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Error, Migration, MigrationSet, Read, SchemaMismatch};

const FIRST: Migration = Migration { name: "0001_item", sql: "create table item (id int)" };
const SECOND: Migration = Migration { name: "0002_name", sql: "alter table item add name text" };
const BOTH: MigrationSet = MigrationSet { owner: "app", migrations: &[FIRST, SECOND] };

async fn server() -> (TestPostgres, Config) {
    let server = TestPostgres::start().await;
    let config = Config { url: Some(Secret::new(server.url())), ..config() };
    (server, config)
}

fn mismatch<T: std::fmt::Debug>(outcome: Result<T, Error>) -> SchemaMismatch {
    match outcome {
        Err(Error::Schema(mismatch)) => mismatch,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let (_server, config) = server().await;
    let node = Node::connect(&config, "a").await;
    let pending = mismatch(node.database.check_schema(&[BOTH]).await);
    assert!(matches!(pending, SchemaMismatch::Pending { owner, .. } if owner == "database"));
    assert!(node.database.keys().is_err(), "nothing can be signed before the first migration");

    let applied = node.database.migrate(&[BOTH]).await.unwrap();
    let names: Vec<&str> = applied.iter().map(|applied| applied.name).collect();
    assert_eq!(names[names.len() - 2..], ["0001_item", "0002_name"]);
    assert_eq!(node.database.migrate(&[BOTH]).await.unwrap(), []);
    node.database.check_schema(&[BOTH]).await.unwrap();

    // Another node signs with the same key.
    let other = Node::connect(&config, "b").await;
    let db = node.db();
    db.execute("insert into item values (1)", &[]).await.unwrap();
    let text = node.database.keys().unwrap().sign(&db.session().token().unwrap());
    assert_eq!(other.database.keys().unwrap().verify(&text).unwrap(), db.session().token().unwrap());
}

#[tokio::test]
async fn two_that_migrate_at_once_apply_each_migration_once() {
    let (_server, config) = server().await;
    let (one, other) = (Node::connect(&config, "a").await, Node::connect(&config, "b").await);
    let (first, second) = tokio::join!(one.database.migrate(&[BOTH]), other.database.migrate(&[BOTH]));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    let applied: i64 =
        one.db().read(Read::Strong).query_one("select count(*) from onefold.migration", &[]).await.unwrap();
    assert_eq!(applied, i64::try_from(first.len() + second.len()).unwrap());
}

#[tokio::test]
async fn a_history_that_differs_is_refused_and_named() {
    let (_server, config) = server().await;
    let node = Node::connect(&config, "a").await;
    node.database.migrate(&[BOTH]).await.unwrap();

    let changed = Migration { sql: "create table item (id bigint)", ..FIRST };
    let third = Migration { name: "0003_third", sql: "create table third ()" };
    let sets: [(&'static [Migration], &str); 3] = [
        (Box::leak(Box::new([changed, SECOND])), "0001_item of app was changed"),
        (Box::leak(Box::new([SECOND, third])), "0001_item of app was applied and is missing"),
        (&[FIRST], "the schema of app is newer than this build: it has 0002_name"),
    ];
    for (migrations, expected) in sets {
        let set = MigrationSet { owner: "app", migrations };
        for outcome in
            [node.database.check_schema(&[set]).await, node.database.migrate(&[set]).await.map(drop)]
        {
            let refused = mismatch(outcome).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
    node.database.check_schema(&[BOTH]).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_those_before_it_and_nothing_of_itself() {
    let (_server, config) = server().await;
    let node = Node::connect(&config, "a").await;
    let broken = Migration { name: "0002_broken", sql: "create table half (); select 1/0" };
    let set = MigrationSet { owner: "app", migrations: Box::leak(Box::new([FIRST, broken])) };
    assert_eq!(node.database.migrate(&[set]).await.unwrap_err().code().unwrap().code(), "22012");
    let half: bool =
        node.db().read(Read::Strong).query_one("select to_regclass('half') is null", &[]).await.unwrap();
    assert!(half);
    assert_eq!(
        node.database.migrate(&[BOTH]).await.unwrap().len(),
        1,
        "the lock is free, and 0002 can go on"
    );
}

#[tokio::test]
async fn statements_prepared_before_a_migration_are_prepared_anew() {
    let (_server, config) = server().await;
    let node = Node::connect(&config, "a").await;
    let first = MigrationSet { owner: "app", migrations: &[FIRST] };
    node.database.migrate(&[first]).await.unwrap();
    let reader = node.db().read(Read::Strong);
    assert!(reader.query::<i32>("select * from item", &[]).await.unwrap().is_empty());
    let other = Node::connect(&config, "b").await;
    other.database.migrate(&[BOTH]).await.unwrap();
    for _ in 0..4 {
        assert!(reader.query::<i32>("select * from item", &[]).await.unwrap().is_empty());
    }
}
