//! The conformance suite, on a real Postgres for each case.

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Database};
use onefold_queue::Admin;
use onefold_queue::conformance::World;
use onefold_queue::postgres::{MIGRATIONS, Postgres};
use std::sync::Arc;

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

onefold_queue::conformance!(world);
