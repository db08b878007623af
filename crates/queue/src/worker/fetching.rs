//! Fetches jobs as the slots and the prefetch have room, and knows how long to rest when there are none.

use super::life::{Life, Report};
use super::ready::Waiting;
use crate::delivery::Fetched;
use crate::store::{Batch, Consumer, End, More};
use onefold_core::retry::Backoff;
use rand::RngExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(2) };

/// Fetches until the worker is told to stop. A fetch under way then has `last_max` to end.
pub(super) async fn fetch(
    life: &Life,
    reports: &mpsc::Sender<Report>,
    stopping: &CancellationToken,
    last_max: Duration,
) {
    let mut consumer = life.crew.store.consumer(life.id, &life.crew.config.queues);
    let (mut failures, mut arrived) = (0, Vec::new());
    loop {
        let mut wanted = if stopping.is_cancelled() { 0 } else { life.appetite_beside(arrived.len()) };
        if wanted == 0 {
            hand_out(life, reports, std::mem::take(&mut arrived)).await;
            let Some(room) = stopping.run_until_cancelled(room(life)).await else { return };
            wanted = room;
        }
        let next = finish(consumer.as_mut(), wanted, stopping, last_max);
        let last = std::mem::take(&mut arrived);
        let Some(fetched) = ahead_of(last, next, life, reports).await else { return };
        let rest = match fetched {
            Ok(Batch { jobs, more }) => {
                (failures, arrived) = (0, jobs);
                rest(life, more)
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!("fetch jobs: {error}; tried again");
                }
                failures += 1;
                RETRY.delay(failures, &mut rand::rng())
            }
        };
        if !rest.is_zero() {
            hand_out(life, reports, std::mem::take(&mut arrived)).await;
            tokio::select! {
                () = life.crew.bell.notified() => {}
                () = tokio::time::sleep(rest) => {}
                () = stopping.cancelled() => return,
            }
        }
    }
}

/// Sends the next fetch, and only then hands out the jobs of the last: quick handlers keep a thread busy for
/// milliseconds, in which the engine would have nothing to do.
async fn ahead_of<T>(
    jobs: Vec<Fetched>,
    next: impl Future<Output = T>,
    life: &Life,
    reports: &mpsc::Sender<Report>,
) -> T {
    let mut next = pin!(next);
    if !jobs.is_empty() {
        let early = futures_util::poll!(next.as_mut());
        // The connection's task has its turn, and writes.
        tokio::task::yield_now().await;
        hand_out(life, reports, jobs).await;
        if let Poll::Ready(fetched) = early {
            return fetched;
        }
    }
    next.await
}

/// Waits until there is room, and answers how much.
async fn room(life: &Life) -> usize {
    loop {
        match life.appetite() {
            0 => life.room.notified().await,
            wanted => return wanted,
        }
    }
}

/// A fetch runs to its end, also into a stop: what it brings would otherwise wait for the worker's row.
async fn finish(
    consumer: &mut dyn Consumer,
    wanted: usize,
    stopping: &CancellationToken,
    last_max: Duration,
) -> Option<Result<Batch, crate::Error>> {
    let last = async {
        stopping.cancelled().await;
        tokio::time::sleep(last_max).await;
    };
    tokio::select! {
        fetched = consumer.fetch(wanted) => Some(fetched),
        () = last => None,
    }
}

/// Hands jobs to the slots; what this build cannot run is held for one that can.
async fn hand_out(life: &Life, reports: &mpsc::Sender<Report>, jobs: Vec<Fetched>) {
    let arrived = life.crew.clock.now();
    let mut ready = Vec::with_capacity(jobs.len());
    let mut unknown = Vec::new();
    for job in jobs {
        match life.crew.known(&job.kind, job.version).map(Arc::clone) {
            Some(kind) => {
                kind.worked.fetched.inc();
                ready.push(Waiting { job, kind, arrived });
            }
            None => unknown.push(job),
        }
    }
    life.ready.extend(ready);
    if let Some(job) = unknown.first() {
        let (jobs, kind, version) = (unknown.len(), &job.kind, job.version);
        tracing::warn!(jobs, job.kind = kind, job.version = version, "held for a worker that knows the kind");
    }
    for job in &unknown {
        // The settling task ends with this channel, not before.
        let _ = reports.send(Report::new(job, None, End::Park)).await;
    }
}

/// How long to rest before the next fetch.
fn rest(life: &Life, more: More) -> Duration {
    let soonest = life.take_soonest();
    let rest = match more {
        More::Yes => return Duration::ZERO,
        More::Within(full_scan) => full_scan,
        More::No(due) => {
            let config = &life.crew.config;
            let poll = if life.crew.is_hearing() { jittered(config.poll) } else { config.poll_deaf };
            due.map_or(poll, |due| due.min(poll))
        }
    };
    soonest.map_or(rest, |soonest| soonest.min(rest)).max(REST_MIN)
}

/// Timers have millisecond ticks, and a job due within one is not worth a busy loop.
const REST_MIN: Duration = Duration::from_millis(1);

/// ± 20 %, so that workers do not poll in step.
fn jittered(poll: Duration) -> Duration {
    poll.mul_f64(rand::rng().random_range(0.8..1.2))
}
