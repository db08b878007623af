//! What people do with jobs: look, retry, cancel, and bring dead letters back.

use crate::store::Attempted;
use crate::{BoxFuture, Error, JobId, Priority};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What one replay statement moves at most: dead letters come back in portions, so that fresh jobs get through.
pub const REPLAY_JOBS_MAX: u32 = 1000;

/// Where [`Ledger::depths_bounded`] may stop to count: an answer of so many or more means "at least".
pub const COUNTED_MAX: u64 = 1_000;

/// The part of an engine that people ask. Every answer is a snapshot.
pub trait Ledger: Send + Sync + 'static {
    /// Jobs that match, by id.
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<JobRecord>, Error>>;

    /// One job: live, dead, or in the history.
    fn show(&self, id: JobId) -> BoxFuture<'_, Result<Option<JobRecord>, Error>>;

    /// Makes a waiting or held job due now. Answers its queue, or none if there is no such job.
    fn retry(&self, id: JobId) -> BoxFuture<'_, Result<Option<String>, Error>>;

    /// Cancels a job: at once if it waits, as soon as its worker hears of it if it runs.
    fn cancel(&self, id: JobId) -> BoxFuture<'_, Result<Cancelled, Error>>;

    /// Makes live jobs of up to `limit` dead letters that match, their attempts counted anew. Ids, and with them
    /// the inbox, stay. One whose unique key is taken stays dead.
    fn replay<'a>(&'a self, filter: &'a Filter, limit: u32) -> BoxFuture<'a, Result<Vec<Replayed>, Error>>;

    /// How many jobs each queue has. It reads the whole hot table.
    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Error>>;

    /// The same, where somebody looks often: no state needs to be counted beyond [`COUNTED_MAX`]. All of it, where the
    /// engine knows no better.
    fn depths_bounded(&self) -> BoxFuture<'_, Result<Vec<Depth>, Error>> {
        self.depths()
    }

    /// What this engine wants watched beyond the depths.
    fn vitals(&self) -> BoxFuture<'_, Result<Vec<Vital>, Error>>;

    /// Tells workers that a queue has jobs.
    fn announce(&self, queue: &str);
}

/// What people do with jobs, engine apart. Cloning is cheap.
#[derive(Clone)]
pub struct Admin(Arc<dyn Ledger>);

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Over an engine's ledger.
    pub fn new(ledger: impl Ledger) -> Self {
        Self(Arc::new(ledger))
    }

    /// Jobs that match, by id.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<JobRecord>, Error> {
        self.0.list(filter).await
    }

    /// One job: live, dead, or in the history.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn show(&self, id: JobId) -> Result<Option<JobRecord>, Error> {
        self.0.show(id).await
    }

    /// Makes a waiting or held job due now. Answers whether there was one.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn retry(&self, id: JobId) -> Result<bool, Error> {
        let queue = self.0.retry(id).await?;
        if let Some(queue) = &queue {
            self.0.announce(queue);
        }
        Ok(queue.is_some())
    }

    /// Cancels a job: at once if it waits, as soon as its worker hears of it if it runs.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, Error> {
        self.0.cancel(id).await
    }

    /// Dead letters that match, by id.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn dead(&self, filter: &Filter) -> Result<Vec<JobRecord>, Error> {
        self.0.list(&Filter { state: Some(JobState::Dead), ..filter.clone() }).await
    }

    /// Brings dead letters that match back, up to `filter.limit`, in portions. Answers the jobs.
    ///
    /// # Errors
    /// Where the engine cannot be asked; portions before stay replayed.
    pub async fn replay(&self, filter: &Filter) -> Result<Vec<JobId>, Error> {
        let mut replayed: Vec<JobId> = Vec::new();
        loop {
            let done = u32::try_from(replayed.len()).unwrap_or(u32::MAX);
            let portion = filter.limit.saturating_sub(done).min(REPLAY_JOBS_MAX);
            let jobs = if portion == 0 { Vec::new() } else { self.0.replay(filter, portion).await? };
            let mut queues: Vec<&str> = jobs.iter().map(|job| job.queue.as_str()).collect();
            queues.sort_unstable();
            queues.dedup();
            for queue in queues {
                self.0.announce(queue);
            }
            replayed.extend(jobs.iter().map(|job| job.id));
            if jobs.len() < portion as usize || portion == 0 {
                return Ok(replayed);
            }
        }
    }

    /// What the engine wants watched beyond the depths.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn vitals(&self) -> Result<Vec<Vital>, Error> {
        self.0.vitals().await
    }

    /// How many jobs each queue has. It reads the whole hot table.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn depths(&self) -> Result<Vec<Depth>, Error> {
        self.0.depths().await
    }

    /// The same, cheaply: of a state with [`COUNTED_MAX`] jobs or more there may be more than it says.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn depths_bounded(&self) -> Result<Vec<Depth>, Error> {
        self.0.depths_bounded().await
    }
}

/// Which jobs. What is not said matches all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// This one.
    pub id: Option<JobId>,
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// In this state; live ones where it says nothing.
    pub state: Option<JobState>,
    /// With a greater id: the next page.
    pub after: Option<JobId>,
    /// So many at most.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { id: None, queue: None, kind: None, state: None, after: None, limit: 100 }
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Due, and not tried yet.
    Available,
    /// Due later, and not tried yet.
    Scheduled,
    /// To be tried again.
    Retrying,
    /// In a worker.
    Running,
    /// Held for a worker that knows its kind.
    Held,
    /// Done, in the history.
    Done,
    /// Cancelled, in the history.
    Cancelled,
    /// A dead letter.
    Dead,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Available,
        Self::Scheduled,
        Self::Retrying,
        Self::Running,
        Self::Held,
        Self::Done,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The state's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Running => "running",
            Self::Held => "held",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = InvalidState;

    fn from_str(text: &str) -> Result<Self, InvalidState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidState(text.to_owned()))
    }
}

/// A text that is no state.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no state of a job: it is one of available, scheduled, retrying, running, held, done, cancelled, dead"
)]
pub struct InvalidState(String);

/// A job as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct JobRecord {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// The layout of its arguments.
    pub version: u32,
    /// Its priority.
    pub priority: Priority,
    /// Where it is.
    pub state: JobState,
    /// How often it was tried.
    pub attempt: u32,
    /// How often it may be tried.
    pub attempts_max: u32,
    /// When it is or was due.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The node that runs it.
    pub node: Option<String>,
    /// Its arguments.
    pub args: Box<RawValue>,
    /// Its unique key, with its kind before it.
    pub unique_key: Option<String>,
    /// The trace of its enqueuer, as a `traceparent`.
    pub trace: Option<String>,
    /// The last five failed attempts.
    pub errors: Vec<Attempted>,
}

/// What a cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// It had not begun, and never will.
    Cancelled,
    /// It runs; its worker is told.
    Requested,
    /// There is no such live job.
    Unknown,
}

/// A dead letter that lives again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
}

/// A value of an engine that says how well it can work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Vital {
    /// The metric's name.
    pub name: &'static str,
    /// What it shows.
    pub help: &'static str,
    /// What it is now.
    pub value: f64,
}

/// How many jobs a queue has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// Due now.
    pub available: u64,
    /// Due later, retries too.
    pub scheduled: u64,
    /// Tried before and to be tried again, now or later; counted above as well.
    pub retrying: u64,
    /// In workers.
    pub running: u64,
    /// Held for a worker that knows their kind.
    pub held: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest available job has been due.
    pub oldest_seconds: f64,
}
