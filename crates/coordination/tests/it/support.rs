//! A Postgres of its own for each test, and nodes that use it.

use futures_util::future::BoxFuture;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold_coordination::conformance::Harness;
use onefold_coordination::store::Store;
use onefold_coordination::{Config, Coordination, MIGRATIONS, Node, Postgres};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, NodeName, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Database, Session, Tx};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Until when what must happen must have happened: generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A database with the tables of the configuration service.
pub(crate) struct Stage {
    pub(crate) server: TestPostgres,
    pub(crate) database: Database,
}

/// One node, alone in its process as far as it knows.
pub(crate) struct TestNode {
    pub(crate) coordination: Coordination,
    pub(crate) node: Node,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let server = TestPostgres::start().await;
        let database = connect(&server.url(), &node("stage")).await;
        database.migrate(&[MIGRATIONS]).await.unwrap();
        Self { server, database }
    }

    pub(crate) async fn node(&self, name: &str, config: &Config) -> TestNode {
        let node = node(name);
        let database = connect(&self.server.url(), &node).await;
        TestNode { coordination: Coordination::postgres(&database, config, &node).await, node }
    }
}

/// A node that can die: nothing of it runs any more, and nothing says goodbye.
pub(crate) struct Mortal<T> {
    runtime: Runtime,
    kept: T,
}

impl<T> Mortal<T> {
    pub(crate) fn kept(&self) -> &T {
        &self.kept
    }

    /// Has its only worker stand still until the other end is dropped.
    pub(crate) fn block_on_one_worker(&self, until: Receiver<()>) {
        let (standing, stands) = std::sync::mpsc::channel();
        self.runtime.spawn(async move {
            standing.send(()).unwrap();
            // An error means that the other end is gone.
            let _ = until.recv();
        });
        stands.recv().unwrap();
    }

    pub(crate) fn die(self) {
        self.runtime.shutdown_background();
    }
}

impl Stage {
    /// A node in a runtime of its own, doing something until it dies.
    pub(crate) async fn mortal<T: Send + 'static>(
        &self,
        name: &str,
        config: &Config,
        act: impl FnOnce(&TestNode) -> T + Send + 'static,
    ) -> Mortal<(T, TestNode)> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (node, url, config) = (node(name), self.server.url(), config.clone());
        let starting = runtime.spawn(async move {
            let database = connect(&url, &node).await;
            let coordination = Coordination::postgres(&database, &config, &node).await;
            let node = TestNode { coordination, node };
            (act(&node), node)
        });
        let kept = starting.await.unwrap();
        Mortal { runtime, kept }
    }

    /// Stops the server as a machine that hangs: connections stay open, and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let postmaster = i32::try_from(self.server.pid()).unwrap();
        kill(Pid::from_raw(postmaster), signal).unwrap();
        for child in children_of(postmaster) {
            // It may have ended since it was listed.
            let _ = kill(Pid::from_raw(child), signal);
        }
    }
}

fn children_of(parent: i32) -> Vec<i32> {
    let tasks = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    tasks.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.resume();
    }
}

impl Harness for Stage {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(Postgres::new(self.database.clone(), PATIENCE, TaskGroup::new()))
    }

    fn begin(&self) -> BoxFuture<'_, Tx> {
        Box::pin(async { self.database.db(Session::new()).begin().await.unwrap() })
    }
}

pub(crate) fn node(name: &str) -> Node {
    Node {
        name: name.parse::<NodeName>().unwrap(),
        tasks: TaskGroup::new(),
        metrics: Metrics::new(),
        clock: Clock::system(),
    }
}

pub(crate) async fn connect(url: &str, node: &Node) -> Database {
    let config =
        onefold_database::Config { url: Some(Secret::new(url)), ..onefold_database::Config::default() };
    let zone = "a".parse().unwrap();
    Database::connect(&config, &node.name, &zone, &node.tasks, &node.metrics, node.clock.clone())
        .await
        .unwrap()
}

pub(crate) fn now() -> Instant {
    Clock::system().now()
}
