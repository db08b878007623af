//! The queue on a real Postgres: the conformance suite, and what this engine promises beyond it.

mod days;
mod plans;
mod watermark;

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Database};
use onefold_queue::Admin;
use onefold_queue::conformance::{Engine, World};
use onefold_queue::postgres::{MIGRATIONS, Postgres};
use std::sync::Arc;
use tokio_postgres::Client;

/// The conformance suite's world: a server of its own.
async fn world() -> World {
    let server = TestPostgres::start().await;
    let url = Secret::new(server.url());
    connect(url.clone(), TaskGroup::new(), Metrics::new())
        .await
        .database
        .migrate(&[onefold_database::MIGRATIONS, MIGRATIONS])
        .await
        .expect("migrate");
    World::new(Box::new(move |tasks, metrics| Box::pin(connect(url.clone(), tasks, metrics))), server).await
}

async fn connect(url: Secret, tasks: TaskGroup, metrics: Metrics) -> Engine {
    let config = Config { url: Some(url), ..Config::default() };
    let (node, zone) = ("test".parse().expect("a name"), "a".parse().expect("a zone"));
    let database = Database::connect(&config, &node, &zone, &tasks, &metrics, Clock::system()).await;
    let database = database.expect("connect");
    let engine = Postgres::new(database.clone(), Clock::system());
    Engine { database, store: Arc::new(engine.clone()), admin: Admin::new(engine) }
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
