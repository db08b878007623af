//! One attempt at a job, as its handler sees it.

use crate::{JobId, Priority};
use chrono::{DateTime, NaiveDate, Utc};
use onefold_core::{Lsn, TraceContext};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A job that the engine handed to a worker, its attempt counted already.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The job.
    pub id: JobId,
    /// Which execution of it this is: the fence of its completion.
    pub run: i32,
    /// Which attempt this is, from 1 on. Counted before running: a worker that dies in the job has spent it.
    pub attempt: u32,
    /// How often it may be tried.
    pub attempts_max: u32,
    /// Its kind.
    pub kind: String,
    /// The layout of its arguments.
    pub version: u32,
    /// Its queue.
    pub queue: String,
    /// Its priority.
    pub priority: Priority,
    /// Its arguments.
    pub args: Box<RawValue>,
    /// When it was due.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued, in the enqueuer's transaction.
    pub created_at: DateTime<Utc>,
    /// The trace of its enqueuer.
    pub trace: Option<TraceContext>,
    /// The enqueuer's session token, as it was handed over.
    pub session: Option<String>,
    /// The enqueuer's deadline, as it was handed over.
    pub deadline: Option<String>,
    /// When it was handed out, by the engine's clock.
    pub fetched_at: DateTime<Utc>,
    /// A log position that covers the transaction which enqueued it.
    pub seen: Lsn,
}

/// What a handler is given: the job, and how it is told to stop.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The job.
    pub job: Arc<Fetched>,
    /// Cancelled when the handler should stop; it is dropped at its next await, what it spawned is not.
    pub cancelled: CancellationToken,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    once: AtomicBool,
    completing: AtomicBool,
    completed: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(job: Fetched, cancelled: CancellationToken) -> Self {
        Self { job: Arc::new(job), cancelled, marks: Arc::default() }
    }

    /// The inbox's name for this job: the same in every attempt, and after a replay.
    pub fn message(&self) -> Message {
        Message {
            consumer: self.job.kind.clone(),
            id: self.job.id.to_string(),
            day: self.job.created_at.date_naive(),
        }
    }

    /// Whether this is the first call in this attempt.
    pub(crate) fn first_once(&self) -> bool {
        !self.marks.once.swap(true, Ordering::Relaxed)
    }

    /// Called when the handler's transaction holds the completion.
    pub(crate) fn mark_completing(&self) {
        self.marks.completing.store(true, Ordering::Release);
    }

    pub(crate) fn is_completing(&self) -> bool {
        self.marks.completing.load(Ordering::Acquire)
    }

    /// Called when the handler's transaction has committed the completion too.
    pub(crate) fn mark_completed(&self) {
        self.marks.completed.store(true, Ordering::Release);
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.marks.completed.load(Ordering::Acquire)
    }
}

/// A message as the inbox knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who applies it; a job's kind.
    pub consumer: String,
    /// Its id, unique for the consumer.
    pub id: String,
    /// The day (UTC) on which the message was made: carried by it, so that every delivery finds the same row.
    pub day: NaiveDate,
}

/// Why an attempt did not succeed, and what the handler wants done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Try again by the kind's backoff, until its attempts are spent.
    Retry(String),
    /// Try again after this delay, until its attempts are spent.
    RetryAfter(Duration, String),
    /// Trying again is useless: dead at once.
    Dead(String),
    /// Not now: run again after this delay. No attempt is counted.
    Snooze(Duration),
}

impl<E: std::error::Error> From<E> for Failure {
    /// Any error is retried; its sources are part of the text.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Retry(text)
    }
}
