//! A job as a message, and as the row that it comes from and goes back into.

use crate::delivery::Fetched;
use crate::store::Attempted;
use crate::{JobId, Priority};
use chrono::{DateTime, Utc};
use onefold_core::Lsn;
use onefold_database::{Error as DatabaseError, FromRow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// What is kept of a job's failures.
const ERRORS_MAX: usize = 5;

/// The columns of a job that travel. `attempt` is what was spent before this journey.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    pub(super) id: i64,
    /// The row's own count of journeys: a new journey is a new message.
    pub(super) run: i32,
    pub(super) attempt: i32,
    pub(super) attempts_max: i32,
    pub(super) kind_version: i32,
    pub(super) priority: i16,
    pub(super) queue: String,
    pub(super) kind: String,
    pub(super) args: Box<RawValue>,
    pub(super) run_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unique_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Attempted>,
}

impl Parcel {
    pub(super) fn priority(&self) -> Priority {
        Priority::from_number(self.priority)
    }

    /// Adds failures, and keeps the last five.
    pub(super) fn note(&mut self, failed: impl IntoIterator<Item = Attempted>) {
        self.errors.extend(failed);
        let surplus = self.errors.len().saturating_sub(ERRORS_MAX);
        self.errors.drain(..surplus);
    }

    /// As a worker gets it.
    pub(super) fn fetched(&self, run: i32, fetched_at: DateTime<Utc>, seen: Lsn) -> Fetched {
        let count = |n: i32| u32::try_from(n).unwrap_or(0);
        Fetched {
            id: JobId(self.id),
            run,
            attempt: count(self.attempt),
            attempts_max: count(self.attempts_max),
            kind: self.kind.clone(),
            version: count(self.kind_version),
            queue: self.queue.clone(),
            priority: self.priority(),
            args: self.args.clone(),
            run_at: self.run_at,
            created_at: self.created_at,
            trace: self.trace.as_deref().and_then(|trace| trace.parse().ok()),
            session: self.session.clone(),
            deadline: self.deadline.clone(),
            fetched_at,
            seen,
        }
    }
}

impl FromRow for Parcel {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let errors: Option<Json<Vec<Attempted>>> = row.try_get(15)?;
        Ok(Self {
            id: row.try_get(0)?,
            run: row.try_get(1)?,
            attempt: row.try_get(2)?,
            attempts_max: row.try_get(3)?,
            kind_version: row.try_get(4)?,
            priority: row.try_get(5)?,
            queue: row.try_get(6)?,
            kind: row.try_get(7)?,
            args: row.try_get::<_, Json<Box<RawValue>>>(8)?.0,
            run_at: row.try_get(9)?,
            created_at: row.try_get(10)?,
            unique_key: row.try_get(11)?,
            trace: row.try_get(12)?,
            session: row.try_get(13)?,
            deadline: row.try_get(14)?,
            errors: errors.map(|Json(errors)| errors).unwrap_or_default(),
        })
    }
}

/// A parcel on its way into a table, and what the table wants beside it.
#[derive(Debug, Serialize)]
pub(super) struct Slip<'a> {
    pub(super) job: &'a Parcel,
    /// The state of a row that waits: 0 available, 2 held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<i16>,
    /// When it is due again, from now; none keeps the time that it was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay_us: Option<i64>,
    /// How long the attempt took, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancelled: Option<bool>,
}

impl<'a> Slip<'a> {
    pub(super) fn of(job: &'a Parcel) -> Self {
        Self { job, state: None, delay_us: None, run_us: None, cancelled: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel() -> Parcel {
        let text = r#"{"id":7,"run":1,"attempt":0,"attempts_max":3,"kind_version":1,"priority":2,"queue":"q",
            "kind":"k.v1","args":{"b": 1,"a":"\u00e9"},"run_at":"2026-01-01T00:00:00.5Z","created_at":"2026-01-01T00:00:00Z"}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn arguments_travel_as_they_were_written() {
        let there = serde_json::to_vec(&parcel()).unwrap();
        let back: Parcel = serde_json::from_slice(&there).unwrap();
        assert_eq!(back.args.get(), r#"{"b": 1,"a":"\u00e9"}"#);
        assert_eq!(back.run_at, parcel().run_at);
    }

    #[test]
    fn the_last_five_failures_are_kept() {
        let mut parcel = parcel();
        for attempt in 1..=7 {
            parcel.note([Attempted { at: parcel.run_at, attempt, error: "no".to_owned(), node: None }]);
        }
        assert_eq!(parcel.errors.iter().map(|failed| failed.attempt).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    }
}
