//! One of the handlers that a worker runs at once: takes the next job, runs its attempt, reports its end.

use super::life::{Life, Report};
use super::ready::Waiting;
use crate::delivery::{Delivery, Failure, Fetched};
use crate::store::{Attempted, End};
use crate::verdict::{Outcome, Verdict, verdict};
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use onefold_core::TraceContext;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Instrument as _;

/// What is kept of an error's text.
const ERROR_BYTES_MAX: usize = 2000;

/// What is wrong with a handler that says it is done but dropped the transaction which says so too.
const UNCOMMITTED: &str = "the transaction that completes the job was not committed";

/// Runs jobs until no more are to be started.
pub(super) async fn work(life: Arc<Life>, reports: mpsc::Sender<Report>) {
    while let Some(waiting) = life.ready.next().await {
        life.running.fetch_add(1, Ordering::Relaxed);
        let report = run(&life, waiting).await;
        life.running.fetch_sub(1, Ordering::Relaxed);
        if life.appetite() > 0 {
            life.room.notify_one();
        }
        // The settling task outlives every slot, except at the end of the lease, when nothing counts any more.
        if let Some(report) = report {
            let _ = reports.send(report).await;
        }
    }
}

/// Runs one attempt. No report where the engine knows its end already.
async fn run(life: &Life, Waiting { job, kind, arrived }: Waiting) -> Option<Report> {
    let crew = &life.crew;
    let cancelled = life.interrupt.child_token();
    crew.running().insert(job.id, cancelled.clone());
    let delivery = Delivery::new(job, cancelled);
    let job = Arc::clone(&delivery.job);
    let started = crew.clock.now();
    let waited = (job.fetched_at - job.run_at).to_std().unwrap_or_default() + (started - arrived);
    kind.worked.wait_seconds.observe(waited.as_secs_f64());

    let trace = job.trace.map_or_else(TraceContext::begin, TraceContext::child);
    let span = trace.enter(|| span(&job, crew.store.capabilities().system));
    let outcome = trace.scope(attempt(life, &kind, delivery).instrument(span.clone())).await;

    let took = crew.clock.now() - started;
    crew.running().remove(&job.id);
    life.pace.note(took);
    kind.worked.run_seconds.observe(took.as_secs_f64());
    if let Outcome::Failed(_) | Outcome::Panicked(_) | Outcome::TimedOut = outcome {
        kind.worked.failed.inc();
    }
    if let Some(kind) = outcome.error_type() {
        span.record("error.type", kind);
    }
    let decided = verdict(outcome, job.attempt, job.attempts_max, &kind.policy, &mut rand::rng());
    if decided == Verdict::Nothing {
        kind.worked.completed.inc();
        return None;
    }
    // In the job's trace, so that what is logged about its end carries the trace's id.
    let end = trace.enter(|| end_of(life, &job, decided, took, &span));
    Some(Report::new(&job, Some(&kind), end))
}

/// Runs the handler until it ends, or until its time, its worker or its job's patron says otherwise.
async fn attempt(life: &Life, kind: &super::crew::KnownKind, delivery: Delivery) -> Outcome {
    let (cancelled, watched) = (delivery.cancelled.clone(), delivery.clone());
    // Within a future, so that a panic before the first await is caught too.
    let running = AssertUnwindSafe(async { kind.handler.run(delivery).await }).catch_unwind();
    tokio::select! {
        biased;
        ended = tokio::time::timeout(kind.policy.timeout, running) => match ended {
            Ok(Ok(Ok(()))) if watched.is_completed() => Outcome::Completed,
            Ok(Ok(Ok(()))) if watched.is_completing() => Outcome::Failed(Failure::Retry(UNCOMMITTED.to_owned())),
            Ok(Ok(Ok(()))) => Outcome::Succeeded,
            Ok(Ok(Err(failure))) => Outcome::Failed(failure),
            Ok(Err(panic)) => Outcome::Panicked(message_of(panic.as_ref())),
            Err(_) => {
                cancelled.cancel();
                Outcome::TimedOut
            }
        },
        () = watched.cancelled.cancelled() => {
            if life.interrupt.is_cancelled() { Outcome::Interrupted } else { Outcome::Cancelled }
        }
    }
}

/// What the engine is told, and one line in the log for what a person may want to know.
fn end_of(life: &Life, job: &Fetched, decided: Verdict, took: Duration, span: &tracing::Span) -> End {
    let attempted = |error: &str| Attempted {
        at: DateTime::<Utc>::from(life.crew.clock.wall()),
        attempt: job.attempt,
        error: cut(error),
        node: Some(life.crew.node.to_string()),
    };
    match decided {
        Verdict::Complete { record } => End::Done(record.then_some(took)),
        Verdict::Retry { delay, error } => {
            tracing::info!(parent: span, job.attempt = job.attempt, ?delay, "attempt failed: {error}");
            End::Retry { delay, error: attempted(&error) }
        }
        Verdict::Die { error } => {
            tracing::warn!(parent: span, job.attempt = job.attempt, "job is dead: {error}");
            End::Dead(attempted(&error))
        }
        Verdict::Snooze { delay } => End::Snooze(delay),
        Verdict::Release | Verdict::Nothing => End::Release,
        Verdict::Cancel => End::Cancelled(took),
    }
}

fn span(job: &Fetched, system: &'static str) -> tracing::Span {
    tracing::info_span!(
        "job",
        otel.name = %format_args!("job {}", job.kind),
        otel.kind = "consumer",
        messaging.system = system,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = job.queue,
        messaging.message.id = job.id.0,
        onefold.job.id = job.id.0,
        onefold.job.kind = job.kind,
        onefold.attempt = job.attempt,
        onefold.link = job.trace.map(tracing::field::display),
        error.type = tracing::field::Empty,
    )
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The beginning of a text, on a character's boundary and without NUL, which Postgres' text cannot hold.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(ERROR_BYTES_MAX.min(text.len()));
    text[..end].replace('\0', "")
}
