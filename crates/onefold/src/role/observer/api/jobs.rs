//! `/api/jobs`: queues, live jobs and dead letters.

use super::Desk;
use super::change::done;
use crate::error::{Error, Result};
use axum::Json;
use axum::extract::{Path, Query, State};
use onefold_core::TraceContext;
use onefold_queue::JobId;
use onefold_queue::admin::{COUNTED_MAX, Cancelled, Depth, Filter, JobRecord, JobState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const LIMIT: u32 = 20;
const LIMIT_MAX: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    state: Option<JobState>,
    kind: Option<String>,
    queue: Option<String>,
    after: Option<i64>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Jobs {
    queues: Vec<Queue>,
    running: Vec<Job>,
    retrying: Vec<Job>,
    dead: Vec<Job>,
    /// Those of the state that was asked for.
    #[serde(rename = "jobs", skip_serializing_if = "Option::is_none")]
    found: Option<Vec<Job>>,
}

#[derive(Serialize)]
struct Queue {
    name: String,
    available: u64,
    scheduled: u64,
    retrying: u64,
    running: u64,
    held: u64,
    dead: u64,
    oldest_s: f64,
    /// Whether a state may have more jobs than are counted here.
    at_least: bool,
}

#[derive(Serialize)]
pub(super) struct Job {
    #[serde(flatten)]
    record: JobRecord,
    trace_id: Option<String>,
}

impl From<Depth> for Queue {
    fn from(depth: Depth) -> Self {
        let Depth { queue, available, scheduled, retrying, running, held, dead, oldest_seconds } = depth;
        let at_least =
            [available, scheduled, retrying, running, held, dead].iter().any(|jobs| *jobs >= COUNTED_MAX);
        let (name, oldest_s) = (queue, oldest_seconds);
        Self { name, available, scheduled, retrying, running, held, dead, oldest_s, at_least }
    }
}

impl From<JobRecord> for Job {
    fn from(record: JobRecord) -> Self {
        let trace = record.trace.as_deref().and_then(|trace| trace.parse::<TraceContext>().ok());
        Self { record, trace_id: trace.map(TraceContext::trace_id) }
    }
}

impl Which {
    fn filter(&self, state: JobState) -> Result<Filter> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("{limit} is out of range: write 1 to {LIMIT_MAX}")));
        }
        let (queue, kind) = (self.queue.clone(), self.kind.clone());
        Ok(Filter { id: None, queue, kind, state: Some(state), after: self.after.map(JobId), limit })
    }
}

pub(super) async fn list(State(desk): State<Desk>, Query(which): Query<Which>) -> Result<Json<Jobs>> {
    let of = async |state| -> Result<Vec<Job>> {
        let filter = which.filter(state)?;
        let found = match state {
            JobState::Dead => desk.jobs.dead(&filter).await?,
            _ => desk.jobs.list(&filter).await?,
        };
        Ok(found.into_iter().map(Job::from).collect())
    };
    let asked = async {
        match which.state {
            Some(state) => of(state).await.map(Some),
            None => Ok(None),
        }
    };
    let depths = async { Ok(desk.jobs.depths_bounded().await?) };
    let (depths, running, retrying, dead, found) =
        tokio::try_join!(depths, of(JobState::Running), of(JobState::Retrying), of(JobState::Dead), asked)?;
    Ok(Json(Jobs { queues: depths.into_iter().map(Queue::from).collect(), running, retrying, dead, found }))
}

pub(super) async fn show(State(desk): State<Desk>, Path(id): Path<i64>) -> Result<Json<Job>> {
    let found = desk.jobs.show(JobId(id)).await?;
    Ok(Json(found.map(Job::from).ok_or_else(|| no_such(id))?))
}

pub(super) async fn retry(State(desk): State<Desk>, Path(id): Path<i64>) -> Result<Json<Value>> {
    if desk.jobs.retry(JobId(id)).await? { Ok(done()) } else { Err(no_such(id)) }
}

pub(super) async fn cancel(State(desk): State<Desk>, Path(id): Path<i64>) -> Result<Json<Value>> {
    match desk.jobs.cancel(JobId(id)).await? {
        Cancelled::Cancelled | Cancelled::Requested => Ok(done()),
        Cancelled::Unknown => Err(no_such(id)),
    }
}

pub(super) async fn replay(State(desk): State<Desk>, Path(id): Path<i64>) -> Result<Json<Value>> {
    let filter = Filter { id: Some(JobId(id)), limit: 1, ..Filter::default() };
    if desk.jobs.replay(&filter).await?.is_empty() { Err(no_such(id)) } else { Ok(done()) }
}

fn no_such(id: i64) -> Error {
    Error::new(crate::Kind::NotFound, format!("there is no job {id} that this applies to"))
}
