//! The queue on a real Postgres: the conformance suite, and what this engine promises beyond it.

mod days;
mod plans;
mod watermark;

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Database};
use onefold_queue::Admin;
use onefold_queue::conformance::World;
use onefold_queue::postgres::{MIGRATIONS, Postgres};
use std::sync::Arc;
use tokio_postgres::Client;

async fn world() -> World {
    let server = TestPostgres::start().await;
    let tasks = TaskGroup::new();
    let config =
        Config { url: Some(Secret::new(server.url())), exclusive_connections_max: 30, ..Config::default() };
    let (node, zone) = ("test".parse().expect("a name"), "a".parse().expect("a zone"));
    let database = Database::connect(&config, &node, &zone, &tasks, &Metrics::new(), Clock::system())
        .await
        .expect("connect");
    database.migrate(&[onefold_database::MIGRATIONS, MIGRATIONS]).await.expect("migrate");
    let engine = Postgres::new(database.clone(), Clock::system());
    let admin = Admin::new(engine.clone());
    World { database, store: Arc::new(engine), admin, tasks, alive: Box::new(server) }
}

/// A server with the queue's tables and a bare connection to it.
async fn bare() -> (TestPostgres, Client) {
    let server = TestPostgres::start().await;
    let client = server.client().await;
    for migration in MIGRATIONS.migrations {
        client.batch_execute(migration.sql).await.expect(migration.name);
    }
    (server, client)
}

onefold_queue::conformance!(world);
