//! A node of a case: its own runtime, so that it can be killed like a process.

use super::{Faulty, World};
use crate::delivery::{Delivery, Failure};
use crate::{
    Admin, BoxFuture, Config, Envelope, Handler, Kinds, Leader, Policy, Queue, Schedule, Start, Worker,
    WorkerConfig,
};
use onefold_core::metrics::Metrics;
use onefold_core::retry::Backoff;
use onefold_core::{Clock, TaskGroup};
use onefold_database::{Database, Session, Tx};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// A node with its own connections and its own queue, and whatever is started in it.
pub struct Node {
    /// Its queue.
    pub queue: Queue,
    /// Its metrics.
    pub metrics: Metrics,
    /// What stands between it and the engine.
    pub faulty: Arc<Faulty>,
    admin: Admin,
    tasks: TaskGroup,
    connections: TaskGroup,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

/// What a node's handlers work with.
#[derive(Clone)]
pub(super) struct Hands {
    database: Database,
    queue: Arc<OnceLock<Queue>>,
}

impl Hands {
    pub(super) async fn begin(&self) -> Result<Tx, onefold_database::Error> {
        self.database.db(Session::new()).begin().await
    }

    pub(super) fn queue(&self) -> &Queue {
        self.queue.get().expect("no handler runs before the queue is there")
    }
}

impl Node {
    /// A node of this world that knows these kinds.
    pub(super) async fn start(world: &World, kinds: Kinds) -> Self {
        Self::with(world, &Config::default(), |_| kinds).await
    }

    /// A node whose handlers work with its database and queue.
    pub(super) async fn with(world: &World, config: &Config, kinds: impl FnOnce(&Hands) -> Kinds) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (tasks, connections, metrics) = (TaskGroup::new(), TaskGroup::new(), Metrics::new());
        let connecting = (world.connect)(connections.clone(), metrics.clone());
        let engine = runtime.spawn(connecting).await.expect("connect");
        let faulty = Faulty::new(engine.store);
        let hands = Hands { database: engine.database, queue: Arc::default() };
        let kinds = Arc::new(kinds(&hands));
        let queue = {
            let _entered = runtime.enter();
            Queue::start(faulty.clone(), kinds, config, &tasks, &metrics)
        };
        assert!(hands.queue.set(queue.clone()).is_ok());
        let (admin, runtime) = (engine.admin, Some(runtime));
        Self { queue, metrics, faulty, admin, tasks, connections, runtime }
    }

    /// Starts a worker in it.
    pub(super) fn work(&self, config: WorkerConfig) {
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        let start = Start {
            config,
            node: "worker-1".parse().expect("a name"),
            zone: "a".parse().expect("a zone"),
            build: "test".to_owned(),
            metrics: &self.metrics,
            clock: Clock::system(),
        };
        Worker::start(&self.queue, start, &self.tasks);
    }

    /// Starts a leader in it; the sender says whether it leads.
    pub(super) fn lead(&self, schedules: Vec<Schedule>, clock: Clock) -> watch::Sender<bool> {
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        let (sender, receiver) = watch::channel(true);
        let (queue, admin) = (self.queue.clone(), self.admin.clone());
        let leader = Leader::new(queue, admin, schedules, Config::default(), &self.metrics, clock);
        leader.start(receiver, &self.tasks).expect("its schedules are known");
        sender
    }

    /// Stops it gracefully.
    pub(super) async fn stop(mut self) {
        self.tasks.stop(Duration::from_secs(20)).await;
        self.connections.stop(Duration::from_secs(1)).await;
        self.kill();
    }

    /// Ends it where it is, as SIGKILL does.
    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Stores one job.
    pub(super) async fn enqueue(&self, envelope: Envelope) -> crate::JobId {
        let answers = self.queue.enqueue(vec![envelope]).await.expect("enqueue");
        answers[0].stored().expect("it is new")
    }

    /// What a counter shows, over all kinds.
    pub(super) fn counted(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}_total")));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A worker that is quick to notice. Its lease is that of every worker: on a machine that stalls it must not end where
/// nobody leads, who would rescue what it holds.
pub(super) fn quick() -> WorkerConfig {
    WorkerConfig {
        concurrency: 4,
        poll: Duration::from_millis(200),
        grace: Duration::from_secs(10),
        ..WorkerConfig::default()
    }
}

/// A worker whose lease is short: for cases in which it ends, or may.
pub(super) fn brief() -> WorkerConfig {
    let (lease, lease_margin) = (Duration::from_secs(3), Duration::from_secs(1));
    WorkerConfig { lease, lease_margin, ..quick() }
}

/// A policy without long waits.
pub(super) fn hasty() -> Policy {
    Policy {
        attempts_max: 3,
        backoff: Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(50) },
        timeout: Duration::from_secs(20),
        ..Policy::default()
    }
}

/// One kind `k.v1` with this handler.
pub(super) fn kind<F, R>(policy: Policy, run: F) -> Kinds
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send + 'static,
{
    kinds([("k.v1", policy)], run)
}

/// Several kinds with one handler.
pub(super) fn kinds<F, R, const N: usize>(of: [(&str, Policy); N], run: F) -> Kinds
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let run = Arc::new(run);
    let mut kinds = Kinds::new();
    for (name, policy) in of {
        let run = Arc::clone(&run);
        let handler = move |delivery| -> BoxFuture<'static, Result<(), Failure>> { Box::pin(run(delivery)) };
        register(&mut kinds, name, policy, handler);
    }
    kinds
}

fn register(kinds: &mut Kinds, name: &str, policy: Policy, handler: impl Handler) {
    kinds.register(name, policy, handler).expect("each kind once");
}

/// Kinds whose jobs are never run here.
pub(super) fn producer() -> Kinds {
    kind(hasty(), |_| async { Ok(()) })
}

/// A job of `k.v1` with a number.
pub(super) fn job(n: i64) -> Envelope {
    Envelope::new("k.v1", &n).expect("a number is JSON")
}

/// The number of a job.
pub(super) fn number_of(delivery: &Delivery) -> i64 {
    serde_json::from_str(delivery.job.args.get()).expect("a number")
}

/// A kind `k.v1` whose handler only notes what it sees.
pub(super) fn noting(policy: Policy, seen: &super::world::Seen) -> Kinds {
    let seen = seen.clone();
    kind(policy, move |delivery| {
        seen.note(number_of(&delivery));
        async { Ok(()) }
    })
}

/// A kind `k.v1` whose handler waits until it is dropped, and notes that it began.
pub(super) fn hanging(policy: Policy, seen: &super::world::Seen) -> Kinds {
    let seen = seen.clone();
    kind(policy, move |delivery| {
        seen.note(number_of(&delivery));
        std::future::pending()
    })
}
