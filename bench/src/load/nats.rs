//! Jobs through NATS JetStream with three replicas: from their rows into the stream, out of it, and the whole way.

mod lane;
mod raw;

use crate::harness::{Count, Stopwatch, Tables};
use crate::load::drive::closed_loop;
use crate::load::node::Node;
use crate::load::{KIND, Target, bare, drain};
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use lane::Lane;
use onefold_core::metrics::Counter;
use onefold_queue::{DEFAULT_QUEUE, Envelope, Queue, Start, Started, Worker, WorkerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::Client;

const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The ways of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// async-nats alone: publishes as many in flight as a relay.
    RawPublish,
    /// The same between the relay's own statements in a bare loop.
    RawRelay,
    /// The relay, from rows that lie there.
    Relay,
    /// async-nats alone: fetches and acknowledges.
    RawConsume,
    /// The same between the worker's own statements in a bare loop.
    RawWork,
    /// A worker, from a stream that is full.
    Work,
    /// The bare loops of relay and worker together.
    RawEnd,
    /// Relay and worker together.
    End,
    /// async-nats alone: one message after the other, published and received.
    RawOne,
    /// One job after the other: enqueued, and run.
    One,
}

pub(super) async fn run(target: &Target, topology: &Path, jobs: i64, through: Through) -> Result<Count> {
    let client = bare::connect(&target.primary).await?;
    client.batch_execute("truncate onefold.job, onefold.claim").await.context("empty the tables")?;
    let config = Tables::read(topology)?.queue;
    let lane = Lane::open(&config).await?;
    match through {
        Through::RawPublish => raw::publish(&lane, jobs).await,
        Through::RawRelay => raw::relay(target, &lane, &client, jobs).await,
        Through::RawConsume => raw::consume(&lane, jobs).await,
        Through::RawWork => raw::work(target, &lane, jobs).await,
        Through::RawEnd => raw::end(target, &lane, &client, jobs).await,
        Through::RawOne => raw::one(target, lane).await,
        Through::Relay => Carrier::start(target, topology).await?.relay(&client, jobs).await,
        Through::Work => Carrier::start(target, topology).await?.work(&client, jobs).await,
        Through::End => Carrier::start(target, topology).await?.end(&client, jobs).await,
        Through::One => Carrier::start(target, topology).await?.one(target).await,
    }
}

/// A node with the engine. Its stream is there.
struct Carrier {
    node: Node,
    started: Started,
    relayed: Counter,
}

impl Carrier {
    async fn start(target: &Target, topology: &Path) -> Result<Self> {
        let node = Node::connect(target).await?;
        let config = Tables::read(topology)?.queue;
        let started =
            config.start("load", &node.database, &node.tasks, &node.metrics, node.clock.clone()).await?;
        let relayed = node.metrics.counter(
            "onefold_queue_relayed",
            "Jobs that the relay has brought into a stream.",
            &[],
        );
        Ok(Self { node, started, relayed })
    }

    fn queue(&self, ran: impl Fn() + Send + Sync + 'static) -> Result<Queue> {
        self.node.queue_on(Arc::clone(&self.started.store), ran)
    }

    fn worker(&self, queue: &Queue) -> Result<()> {
        let start = Start {
            config: WorkerConfig::default(),
            node: "load".parse()?,
            zone: "a".parse()?,
            build: "bench".to_owned(),
            metrics: &self.node.metrics,
            clock: self.node.clock.clone(),
        };
        Worker::start(queue, start, &self.node.tasks);
        Ok(())
    }

    /// Has rows, but for the first, wait for the relay: that one has made the stream before.
    async fn fill(&self, client: &Client, jobs: i64) -> Result<Counter> {
        drain::fill(client, 1).await?;
        self.started.store.hint(DEFAULT_QUEUE);
        reaches(&self.relayed, 1).await?;
        drain::fill(client, jobs - 1).await?;
        Ok(self.node.metrics.counter("onefold_queue_completed", "Jobs done.", &[("kind", KIND)]))
    }

    async fn relay(&self, client: &Client, jobs: i64) -> Result<Count> {
        self.fill(client, jobs).await?;
        let before = self.relayed.get();
        let stopwatch = Stopwatch::start();
        self.started.store.hint(DEFAULT_QUEUE);
        reaches(&self.relayed, u64::try_from(jobs)?).await?;
        Ok(stopwatch.stop(self.relayed.get() - before))
    }

    async fn work(&self, client: &Client, jobs: i64) -> Result<Count> {
        let completed = self.fill(client, jobs).await?;
        self.started.store.hint(DEFAULT_QUEUE);
        reaches(&self.relayed, u64::try_from(jobs)?).await?;
        let queue = self.queue(|| {})?;
        let stopwatch = Stopwatch::start();
        self.worker(&queue)?;
        reaches(&completed, u64::try_from(jobs)?).await?;
        Ok(stopwatch.stop(completed.get()))
    }

    async fn end(&self, client: &Client, jobs: i64) -> Result<Count> {
        let completed = self.fill(client, jobs).await?;
        let queue = self.queue(|| {})?;
        let stopwatch = Stopwatch::start();
        self.started.store.hint(DEFAULT_QUEUE);
        self.worker(&queue)?;
        reaches(&completed, u64::try_from(jobs)?).await?;
        Ok(stopwatch.stop(completed.get()))
    }

    async fn one(&self, target: &Target) -> Result<Count> {
        let ran = Arc::new(Notify::new());
        let rings = Arc::clone(&ran);
        let queue = self.queue(move || rings.notify_one())?;
        self.worker(&queue)?;
        // The first makes the stream and its consumers.
        queue.enqueue(vec![Envelope::new(KIND, &bare::args())?]).await?;
        tokio::time::timeout(PATIENCE, ran.notified()).await.context("the first job did not run")?;
        closed_loop(target, 1, move |_| {
            let (queue, ran) = (queue.clone(), Arc::clone(&ran));
            async move {
                queue.enqueue(vec![Envelope::new(KIND, &bare::args())?]).await?;
                tokio::time::timeout(PATIENCE, ran.notified()).await.context("a job did not run")
            }
        })
        .await
    }
}

async fn reaches(counter: &Counter, count: u64) -> Result<()> {
    let begun = std::time::Instant::now();
    while counter.get() < count {
        if begun.elapsed() > PATIENCE {
            bail!("{} of {count} after {PATIENCE:?}", counter.get());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
