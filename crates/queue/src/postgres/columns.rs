//! New jobs as the columns of an insert, and what the insert answered.

use super::sql;
use crate::store::NewJob;
use crate::{Due, Enqueued, Error, JobId};
use chrono::{DateTime, Utc};
use onefold_core::TraceContext;
use onefold_database::{Connection, Tx};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::types::{Json, ToSql};

/// The longest delay and window: beyond it dates overflow before anybody waits for them.
const DELAY_MAX: Duration = Duration::from_hours(24 * 365 * 100);

/// A duration in the unit of the statements.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.min(DELAY_MAX).as_micros()).unwrap_or(i64::MAX)
}

/// A count in the width of the columns.
pub(super) fn narrow(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn traceparent(trace: TraceContext) -> String {
    String::from_utf8_lossy(&trace.encode()).into_owned()
}

/// The columns of many jobs.
#[derive(Debug, Default)]
struct Columns<'a> {
    queue: Vec<&'a str>,
    kind: Vec<&'a str>,
    version: Vec<i32>,
    priority: Vec<i16>,
    at: Vec<Option<DateTime<Utc>>>,
    delay_us: Vec<i64>,
    attempts_max: Vec<i32>,
    args: Vec<Json<&'a RawValue>>,
    unique_key: Vec<Option<String>>,
    trace: Vec<Option<String>>,
    session: Vec<Option<&'a str>>,
    deadline: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(jobs: &[&NewJob<'a>]) -> Self {
        let mut columns = Self::default();
        for job in jobs {
            let envelope = job.envelope;
            let (at, delay) = match envelope.due {
                Due::Now => (None, Duration::ZERO),
                Due::At(moment) => (Some(moment), Duration::ZERO),
                Due::After(delay) => (None, delay),
            };
            columns.queue.push(&envelope.queue);
            columns.kind.push(&envelope.kind);
            columns.version.push(narrow(envelope.version));
            columns.priority.push(envelope.priority as i16);
            columns.at.push(at);
            columns.delay_us.push(micros(delay));
            columns.attempts_max.push(narrow(job.attempts_max));
            columns.args.push(Json(&*envelope.args));
            columns.unique_key.push(envelope.unique_key());
            columns.trace.push(envelope.trace.map(traceparent));
            columns.session.push(envelope.session.as_deref());
            columns.deadline.push(envelope.deadline.as_deref());
        }
        columns
    }

    fn one(&self) -> [&(dyn ToSql + Sync); 12] {
        [
            &self.queue[0],
            &self.kind[0],
            &self.version[0],
            &self.priority[0],
            &self.at[0],
            &self.delay_us[0],
            &self.attempts_max[0],
            &self.args[0],
            &self.unique_key[0],
            &self.trace[0],
            &self.session[0],
            &self.deadline[0],
        ]
    }

    fn many(&self) -> [&(dyn ToSql + Sync); 12] {
        [
            &self.queue,
            &self.kind,
            &self.version,
            &self.priority,
            &self.at,
            &self.delay_us,
            &self.attempts_max,
            &self.args,
            &self.unique_key,
            &self.trace,
            &self.session,
            &self.deadline,
        ]
    }
}

/// The id and the unique key of a stored row.
type Stored = (i64, Option<String>);

/// Whether a batch is one insert and nothing else.
pub(super) fn is_one_statement(jobs: &[NewJob<'_>]) -> bool {
    jobs.iter().all(|job| job.envelope.unique.is_none())
}

/// Inserts jobs without unique keys by one statement that commits by itself.
pub(super) async fn insert_alone(
    connection: &Connection,
    jobs: &[NewJob<'_>],
) -> Result<Vec<Enqueued>, Error> {
    let jobs: Vec<&NewJob<'_>> = jobs.iter().collect();
    let columns = Columns::of(&jobs);
    let rows = if jobs.len() == 1 {
        connection.query_cached(sql::ENQUEUE_ONE, &columns.one()).await?
    } else {
        connection.query_cached(sql::ENQUEUE_MANY, &columns.many()).await?
    };
    rows.iter().map(|row| Ok(Enqueued::Stored(JobId(row.try_get(0)?)))).collect()
}

/// Inserts jobs in a transaction.
pub(super) async fn insert_in(tx: &mut Tx, jobs: &[NewJob<'_>]) -> Result<Vec<Enqueued>, Error> {
    let mut refused = vec![false; jobs.len()];
    for (job, refused) in jobs.iter().zip(&mut refused) {
        *refused = !claim_window(tx, job).await?;
    }
    let admitted: Vec<&NewJob<'_>> =
        jobs.iter().zip(&refused).filter(|(_, refused)| !**refused).map(|(job, _)| job).collect();
    let columns = Columns::of(&admitted);
    let stored: Vec<Stored> = match admitted.len() {
        0 => Vec::new(),
        1 => tx.query(sql::ENQUEUE_ONE, &columns.one()).await?,
        _ => tx.query(sql::ENQUEUE_MANY, &columns.many()).await?,
    };
    let keys: Vec<Option<String>> = jobs.iter().map(|job| job.envelope.unique_key()).collect();
    let mut answers = match_up(&keys, &refused, stored);
    if answers.iter().any(Option::is_none) {
        name_holders(tx, &keys, &mut answers).await?;
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Enqueued::Duplicate(None))).collect())
}

/// Claims the window of a job that has one. The row is locked until the transaction ends.
async fn claim_window(tx: &mut Tx, job: &NewJob<'_>) -> Result<bool, Error> {
    let window = job.envelope.unique.as_ref().and_then(|unique| unique.window);
    let (Some(window), Some(key)) = (window, job.envelope.unique_key()) else { return Ok(true) };
    let claimed: Option<String> = tx.query_opt(sql::CLAIM_WINDOW, &[&key, &micros(window)]).await?;
    Ok(claimed.is_some())
}

/// Says which job became which row. Rows without a key come in the order of their jobs, those with one are known
/// by it; of two jobs with one key the first is the one that was stored.
fn match_up(keys: &[Option<String>], refused: &[bool], stored: Vec<Stored>) -> Vec<Option<Enqueued>> {
    let (keyed, plain): (Vec<Stored>, Vec<Stored>) = stored.into_iter().partition(|(_, key)| key.is_some());
    let mut plain = plain.into_iter();
    let mut keyed: HashMap<String, i64> =
        keyed.into_iter().filter_map(|(id, key)| Some((key?, id))).collect();
    let answer = |(key, refused): (&Option<String>, &bool)| {
        let id = match key {
            _ if *refused => None,
            Some(key) => keyed.remove(key),
            None => plain.next().map(|(id, _)| id),
        };
        id.map(|id| Enqueued::Stored(JobId(id)))
    };
    keys.iter().zip(refused).map(answer).collect()
}

async fn name_holders(
    tx: &mut Tx,
    keys: &[Option<String>],
    answers: &mut [Option<Enqueued>],
) -> Result<(), Error> {
    let taken: Vec<&String> = keys
        .iter()
        .zip(&*answers)
        .filter(|(_, answer)| answer.is_none())
        .filter_map(|(key, _)| key.as_ref())
        .collect();
    let holders: Vec<(i64, String)> = tx.query(sql::HOLDERS, &[&taken]).await?;
    let holders: HashMap<String, i64> = holders.into_iter().map(|(id, key)| (key, id)).collect();
    for (key, answer) in keys.iter().zip(answers) {
        let holder = key.as_ref().and_then(|key| holders.get(key)).map(|id| JobId(*id));
        answer.get_or_insert(Enqueued::Duplicate(holder));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A table that admits a key once, as the unique index does.
        #[test]
        fn every_job_gets_the_answer_of_its_own_row(
            keys in proptest::collection::vec(proptest::option::of("[a-c]"), 0..20),
            taken in proptest::collection::hash_set("[a-c]", 0..3),
        ) {
            let (mut seen, mut stored, mut expected) = (taken, Vec::new(), Vec::new());
            for (id, key) in keys.iter().enumerate() {
                let id = i64::try_from(id).unwrap();
                let admitted = key.as_ref().is_none_or(|key| seen.insert(key.clone()));
                if admitted {
                    stored.push((id, key.clone()));
                }
                expected.push(admitted.then_some(Enqueued::Stored(JobId(id))));
            }
            prop_assert_eq!(match_up(&keys, &vec![false; keys.len()], stored), expected);
        }
    }

    #[test]
    fn an_absurd_delay_does_not_overflow() {
        assert!(micros(Duration::MAX) > 0);
    }
}
