//! Jobs that may be lost: they wait some milliseconds in this process and are stored many at once.

use crate::metrics::Produced;
use crate::store::{NewJob, Store};
use crate::wake::Wakes;
use crate::{Config, Envelope, Error};
use onefold_core::retry::Backoff;
use onefold_core::{Class, Classified as _, TaskGroup};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Jobs that one statement stores at most.
const BATCH_JOBS_MAX: usize = 1000;
/// How long nothing must have come for the buffer to end, once its node stops: requests that drain still enqueue.
const QUIET: Duration = Duration::from_millis(250);
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(2) };

/// What became of a buffered job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a dropped job is gone"]
pub enum Buffered {
    /// It will be stored within milliseconds, unless this process dies first.
    Accepted,
    /// The buffer is full, since the engine does not keep up. The job is lost, and counted.
    Dropped,
}

/// A job and how often it may be tried.
pub(crate) struct Buffering {
    pub(crate) envelope: Envelope,
    pub(crate) attempts_max: u32,
}

enum Item {
    Job(Box<Buffering>),
    Flush(oneshot::Sender<()>),
}

/// The producer's end.
#[derive(Clone, Debug)]
pub(crate) struct Buffer(mpsc::Sender<Item>);

/// What the buffer's task needs.
pub(crate) struct Outlet {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) wakes: Wakes,
    pub(crate) produced: Arc<Produced>,
}

impl Buffer {
    pub(crate) fn start(outlet: Outlet, config: &Config, tasks: &TaskGroup) -> Self {
        let (sender, receiver) = mpsc::channel(config.buffer_jobs_max);
        let (delay, stopping) = (config.buffer_delay, tasks.stopping());
        tasks.spawn("queue-buffer", async move {
            Drain { outlet, receiver, delay, stopping }.run().await;
        });
        Self(sender)
    }

    pub(crate) fn push(&self, job: Buffering) -> Buffered {
        match self.0.try_send(Item::Job(Box::new(job))) {
            Ok(()) => Buffered::Accepted,
            Err(_) => Buffered::Dropped,
        }
    }

    /// Waits until everything pushed before is stored.
    pub(crate) async fn flush(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.0.send(Item::Flush(sender)).await.is_ok() {
            // An error means that the buffer has ended, and flushed before it did.
            let _ = receiver.await;
        }
    }
}

struct Drain {
    outlet: Outlet,
    receiver: mpsc::Receiver<Item>,
    delay: Duration,
    stopping: CancellationToken,
}

impl Drain {
    /// Only the wait for the first item of a portion is ever dropped: what was taken out is stored.
    async fn run(mut self) {
        let (stopping, mut items) = (self.stopping.clone(), Vec::with_capacity(BATCH_JOBS_MAX));
        while let Some(1..) = stopping.run_until_cancelled(self.first(&mut items)).await {
            self.portion(&mut items).await;
        }
        // What is still there when the node stops, and what draining requests add.
        while let Ok(1..) = tokio::time::timeout(QUIET, self.first(&mut items)).await {
            self.portion(&mut items).await;
        }
        self.receiver.close();
        while self.first(&mut items).await > 0 {
            self.portion(&mut items).await;
        }
    }

    async fn first(&mut self, items: &mut Vec<Item>) -> usize {
        self.receiver.recv_many(items, BATCH_JOBS_MAX).await
    }

    /// Stores what has come, and what comes within the delay.
    async fn portion(&mut self, items: &mut Vec<Item>) {
        self.stopping.run_until_cancelled(tokio::time::sleep(self.delay)).await;
        while items.len() < BATCH_JOBS_MAX {
            let Ok(item) = self.receiver.try_recv() else { break };
            items.push(item);
        }
        self.outlet.store(items.drain(..)).await;
    }
}

impl Outlet {
    async fn store(&self, items: impl Iterator<Item = Item>) {
        let (mut jobs, mut flushes) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Job(job) => jobs.push(job),
                Item::Flush(flush) => flushes.push(flush),
            }
        }
        let jobs: Vec<NewJob<'_>> = jobs
            .iter()
            .map(|job| NewJob { envelope: &job.envelope, attempts_max: job.attempts_max })
            .collect();
        self.keep(&jobs).await;
        for flush in flushes {
            // Whoever waited may be gone.
            let _ = flush.send(());
        }
    }

    /// Tries as long as it may help. Where a commit's outcome is not known, trying again may store jobs twice,
    /// and giving up may lose them; the buffer prefers twice.
    async fn keep(&self, jobs: &[NewJob<'_>]) {
        let mut attempt = 0;
        while let Err(error) = self.produced.timed(self.store.enqueue(jobs)).await {
            if !is_worth_another(&error) {
                tracing::error!(jobs = jobs.len(), "buffered jobs are lost: {error}");
                self.produced.dropped.inc_by(jobs.len() as u64);
                return;
            }
            if attempt == 0 {
                tracing::warn!(jobs = jobs.len(), "store buffered jobs: {error}; tried again");
            }
            let delay = RETRY.delay(attempt, &mut rand::rng());
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
        let mut queues: Vec<&str> = jobs.iter().map(|job| job.envelope.queue.as_str()).collect();
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            self.wakes.wake(queue);
            self.store.hint(queue);
        }
        for job in jobs {
            self.produced.enqueued(&job.envelope.kind);
        }
    }
}

fn is_worth_another(error: &Error) -> bool {
    matches!(error.class(), Class::Transient | Class::Conflict | Class::Unknown)
}
