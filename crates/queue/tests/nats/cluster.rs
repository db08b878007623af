//! What a cluster of three survives: the death of a server under load, and of all of them.

use super::server::TestNats;
use super::{connect, until, world_of};
use onefold_core::metrics::Metrics;
use onefold_core::retry::Backoff;
use onefold_core::{Clock, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Database, Session};
use onefold_queue::conformance::{Engine, World};
use onefold_queue::{
    BoxFuture, Config, Delivery, Envelope, Failure, Kinds, Policy, Queue, Start, Worker, WorkerConfig,
};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// A world on a cluster that the test kills.
async fn world(nats: &Arc<Mutex<TestNats>>) -> World {
    let url = nats.lock().expect("unpoisoned").url();
    world_of(Arc::clone(nats), url).await
}

/// A handler that applies its number once, by the inbox.
fn applying(database: &Database, queue: &Arc<OnceLock<Queue>>) -> Kinds {
    let (database, queue) = (database.clone(), Arc::clone(queue));
    let run = move |delivery: Delivery| -> BoxFuture<'static, Result<(), Failure>> {
        let (database, queue) = (database.clone(), Arc::clone(&queue));
        Box::pin(async move {
            let queue = queue.get().expect("it is there before its jobs");
            let number: i64 = serde_json::from_str(delivery.job.args.get()).expect("a number");
            let mut tx = database.db(Session::new()).begin().await?;
            if queue.once(&mut tx, &delivery).await? {
                tx.execute("insert into effect values ($1)", &[&number]).await?;
                tx.commit().await?;
            }
            Ok(())
        })
    };
    let mut kinds = Kinds::new();
    let backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(100) };
    kinds.register("k.v1", Policy { attempts_max: 50, backoff, ..Policy::default() }, run).expect("once");
    kinds
}

/// A node with a queue and a worker over an engine.
pub(crate) fn start(engine: &Engine, tasks: &TaskGroup) -> Queue {
    let (seat, metrics) = (Arc::new(OnceLock::new()), Metrics::new());
    let kinds = Arc::new(applying(&engine.database, &seat));
    let queue = Queue::start(Arc::clone(&engine.store), kinds, &Config::default(), tasks, &metrics);
    assert!(seat.set(queue.clone()).is_ok());
    let start = Start {
        config: WorkerConfig { poll: Duration::from_millis(300), ..WorkerConfig::default() },
        node: "worker-1".parse().expect("a name"),
        zone: "a".parse().expect("a zone"),
        build: "test".to_owned(),
        metrics: &metrics,
        clock: Clock::system(),
    };
    Worker::start(&queue, start, tasks);
    queue
}

pub(crate) async fn enqueue(queue: &Queue, numbers: std::ops::Range<i64>) {
    let envelope = |n| Envelope::new("k.v1", &n).expect("a number is JSON");
    queue.enqueue(numbers.map(envelope).collect()).await.expect("accepted, whatever NATS does");
}

/// The table in which handlers note what they have applied.
pub(crate) async fn make_effects(database: &Database) {
    let connection = database.exclusive().await.expect("connect");
    connection.batch_execute("create table effect (n bigint not null)").await.expect("make a table");
}

/// How many jobs were applied, and how many different ones.
pub(crate) async fn applied(database: &Database) -> (i64, i64) {
    let connection = database.exclusive().await.expect("connect");
    let row = connection.query_one("select count(*), count(distinct n) from effect", &[]).await.expect("ask");
    (row.get(0), row.get(1))
}

/// Jobs are accepted and run while a server is dead, and while all are dead they are accepted and kept. Each is
/// applied once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_die_and_every_accepted_job_is_applied_once() {
    let nats = Arc::new(Mutex::new(TestNats::three()));
    let world = world(&nats).await;
    let (engine, tasks) = (world.engine(), TaskGroup::new());
    make_effects(&engine.database).await;
    let queue = start(&engine, &tasks);
    enqueue(&queue, 0..300).await;
    until("the cluster works", async || applied(&engine.database).await.0 == 300).await;

    nats.lock().expect("unpoisoned").kill(0);
    for n in 0..20 {
        enqueue(&queue, 300 + n * 10..310 + n * 10).await;
    }
    until("two servers work", async || applied(&engine.database).await.0 == 500).await;
    nats.lock().expect("unpoisoned").start(0);

    nats.lock().expect("unpoisoned").kill_all();
    enqueue(&queue, 500..700).await;
    until("the relay has noticed", async || {
        let vitals = engine.admin.vitals().await.expect("ask");
        vitals.iter().any(|vital| vital.name == "onefold_queue_relay_waiting" && vital.value > 100.0)
    })
    .await;
    nats.lock().expect("unpoisoned").start_all();
    until("all are applied", async || applied(&engine.database).await.0 == 700).await;
    assert_eq!(applied(&engine.database).await, (700, 700));
    tasks.stop(Duration::from_secs(20)).await;
}

/// A node that starts while NATS is away accepts jobs, and relays them once it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_starts_without_nats_and_keeps_what_it_accepts() {
    let mut nats = TestNats::one();
    nats.kill(0);
    let server = TestPostgres::start().await;
    let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
    super::database(&server.url(), &tasks, &metrics)
        .await
        .migrate(&[onefold_database::MIGRATIONS, onefold_queue::MIGRATIONS])
        .await
        .expect("migrate");
    let engine = connect(&server.url(), &nats.url(), &tasks, &metrics).await;
    make_effects(&engine.database).await;
    let queue = start(&engine, &tasks);
    enqueue(&queue, 0..10).await;
    nats.start(0);
    until("all are applied", async || applied(&engine.database).await.0 == 10).await;
    tasks.stop(Duration::from_secs(20)).await;
}
