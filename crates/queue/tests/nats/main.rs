//! The queue on real NATS servers: the conformance suite, what a cluster survives, and what is refused.
#![cfg(feature = "nats")]

mod cluster;
mod refused;
mod server;
mod slow;
mod tls;
mod unclaimed;

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::Database;
use onefold_database::testing::TestPostgres;
use onefold_queue::conformance::{Engine, World};
use onefold_queue::nats::Nats;
use onefold_queue::{Admin, Config, MIGRATIONS};
use server::TestNats;
use std::sync::Arc;
use std::time::Duration;

/// The conformance suite's world: one NATS server and one Postgres of its own.
async fn world() -> World {
    let nats = TestNats::one();
    let url = nats.url();
    world_of(nats, url).await
}

/// A world over these servers; they end with it.
async fn world_of(servers: impl std::any::Any + Send + Sync, nats: String) -> World {
    let server = TestPostgres::start().await;
    let url = server.url();
    database(&url, &TaskGroup::new(), &Metrics::new())
        .await
        .migrate(&[onefold_database::MIGRATIONS, MIGRATIONS])
        .await
        .expect("migrate");
    let connect = move |tasks: TaskGroup, metrics: Metrics| -> onefold_queue::BoxFuture<'static, Engine> {
        let (url, nats) = (url.clone(), nats.clone());
        Box::pin(async move { connect(&url, &nats, &tasks, &metrics).await })
    };
    World::new(Box::new(connect), (server, servers)).await
}

async fn database(url: &str, tasks: &TaskGroup, metrics: &Metrics) -> Database {
    let config =
        onefold_database::Config { url: Some(Secret::new(url)), ..onefold_database::Config::default() };
    let (node, zone) = ("test".parse().expect("a name"), "a".parse().expect("a zone"));
    Database::connect(&config, &node, &zone, tasks, metrics, Clock::system()).await.expect("connect")
}

fn config(nats: &str) -> Config {
    Config { engine: onefold_queue::Engine::Nats, url: Some(Secret::new(nats)), ..Config::default() }
}

async fn connect(url: &str, nats: &str, tasks: &TaskGroup, metrics: &Metrics) -> Engine {
    let database = database(url, tasks, metrics).await;
    let engine = Nats::connect(&config(nats), database.clone(), Clock::system(), "test").await;
    let engine = engine.expect("connect to NATS");
    engine.start(tasks, metrics);
    Engine { database, store: Arc::new(engine.clone()), admin: Admin::new(engine) }
}

/// Waits for a state.
async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let waiting = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_ok(), "not in time: {what}");
}

onefold_queue::conformance!(world);
