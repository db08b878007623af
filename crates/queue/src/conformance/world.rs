//! What a case works in.

use crate::admin::{Depth, Filter, JobRecord};
use crate::delivery::Fetched;
use crate::store::{Identity, Rescued, WorkerId};
use crate::{Admin, BoxFuture, JobId, Store};
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, TaskGroup};
use onefold_database::{Database, Session, Tx};
use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long a state may take to come about. Far more than it takes: a deadline, not a measurement.
const STATE_SECONDS_MAX: u64 = 120;

/// One node's way to the database and the engine.
pub struct Engine {
    /// The database of the business transactions.
    pub database: Database,
    /// The engine.
    pub store: Arc<dyn Store>,
    /// Its ledger.
    pub admin: Admin,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// What an engine with a relay calls the number of jobs that wait for it.
const RELAY_WAITING: &str = "onefold_queue_relay_waiting";

/// Connects a node; its connections' tasks run in the group.
pub type Connect = Box<dyn Fn(TaskGroup, Metrics) -> BoxFuture<'static, Engine> + Send + Sync>;

/// A migrated database, an engine with nothing in it, and whatever keeps them alive.
pub struct World {
    pub(super) database: Database,
    pub(super) store: Arc<dyn Store>,
    pub(super) admin: Admin,
    pub(super) connect: Connect,
    // Connections first, then the servers.
    _tasks: TaskGroup,
    _servers: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A world over `servers`, which hold an empty schema of the tiers and are stopped when dropped.
    pub async fn new(connect: Connect, servers: impl Any + Send + Sync) -> Self {
        let tasks = TaskGroup::new();
        let Engine { database, store, admin } = connect(tasks.clone(), Metrics::new()).await;
        Self { database, store, admin, connect, _tasks: tasks, _servers: Box::new(servers) }
    }

    /// The engine, for what a suite of its own wants to see.
    pub fn engine(&self) -> Engine {
        let (database, store) = (self.database.clone(), Arc::clone(&self.store));
        Engine { database, store, admin: self.admin.clone() }
    }

    /// A business transaction.
    pub(super) async fn begin(&self) -> Tx {
        self.database.db(Session::new()).begin().await.expect("begin")
    }

    /// Makes a table for the effects of jobs.
    pub(super) async fn make_table(&self, columns: &str) {
        let connection = self.database.exclusive().await.expect("connect");
        connection.batch_execute(&format!("create table effect ({columns})")).await.expect("make a table");
    }

    /// One number out of the database.
    pub(super) async fn number(&self, sql: &str) -> i64 {
        let connection = self.database.exclusive().await.expect("connect");
        connection.query_one(sql, &[]).await.expect("ask").get(0)
    }

    /// One job, which must be somewhere.
    pub(super) async fn job(&self, id: JobId) -> JobRecord {
        self.admin.show(id).await.expect("ask").expect("the job is live, dead or in the history")
    }

    /// A worker's place in the engine, without a worker.
    pub(super) async fn register(&self, lease: Duration) -> WorkerId {
        let identity = Identity {
            node: "worker-1".parse().expect("a name"),
            zone: "a".parse().expect("a zone"),
            boot: Boot::new(),
            build: "test".to_owned(),
        };
        self.store.register(&identity, lease).await.expect("register")
    }

    /// One job for a worker, if there is one and its lease is in force.
    pub(super) async fn fetch(&self, worker: WorkerId) -> Option<Fetched> {
        let queues = [crate::DEFAULT_QUEUE.to_owned()];
        self.store.consumer(worker, &queues).fetch(1).await.expect("fetch").jobs.pop()
    }

    /// Ends a worker's lease and has its jobs rescued.
    pub(super) async fn rescue(&self, worker: WorkerId) -> Rescued {
        self.store.renew(worker, Duration::ZERO).await.expect("end its lease");
        self.store.rescue().await.expect("rescue")
    }

    /// How many live jobs there are.
    pub(super) async fn live(&self) -> usize {
        let filter = Filter { limit: 100_000, ..Filter::default() };
        self.admin.list(&filter).await.expect("ask").len()
    }

    /// Waits until no live job is left. A look at an engine that keeps jobs in two places may miss one that moves,
    /// so several in a row must find none.
    pub(super) async fn drained(&self) {
        const LOOKS: usize = 4;
        let looks = std::cell::Cell::new(0);
        until("the queue is empty", async || {
            let depths = self.admin.depths().await.expect("ask");
            let live = |depth: &Depth| depth.available + depth.scheduled + depth.running + depth.held;
            looks.set(if depths.iter().map(live).sum::<u64>() == 0 { looks.get() + 1 } else { 0 });
            looks.get() == LOOKS
        })
        .await;
    }

    /// Waits until every due job has arrived where workers take them: at once, on an engine without a relay.
    pub(super) async fn arrived(&self) {
        if !self.store.capabilities().relays {
            return;
        }
        until("the relay has nothing to do", async || {
            let vitals = self.admin.vitals().await.expect("ask");
            let waiting = vitals.iter().find(|vital| vital.name == RELAY_WAITING);
            waiting.expect("an engine with a relay says what waits for it").value < 0.5
        })
        .await;
    }
}

/// Waits for a state.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let waiting = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(STATE_SECONDS_MAX), waiting).await;
    assert!(waited.is_ok(), "not within {STATE_SECONDS_MAX} s: {what}");
}

/// What handlers have seen, in their order. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<std::sync::Mutex<Vec<i64>>>);

impl Seen {
    pub(super) fn note(&self, n: i64) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(n);
    }

    pub(super) fn all(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
