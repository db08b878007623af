//! What people ask of the engine.

use super::store::CHANNEL;
use super::{Postgres, sql};
use crate::admin::{Cancelled, Depth, Filter, JobRecord, JobState, Ledger, Replayed, Vital};
use crate::store::Attempted;
use crate::{BoxFuture, Error, JobId, Priority};
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

impl Postgres {
    /// Jobs by a statement that is about one state.
    async fn records_of(&self, statement: &'static str, filter: &Filter) -> Result<Vec<JobRecord>, Error> {
        let (id, after) = (filter.id.map(|id| id.0), filter.after.map(|id| id.0));
        let limit = i64::from(filter.limit);
        self.asked(statement, &[&id, &filter.queue, &filter.kind, &after, &limit]).await
    }

    /// Jobs by a statement.
    pub(crate) async fn asked(
        &self,
        statement: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<JobRecord>, Error> {
        let connection = self.database.exclusive().await?;
        connection.query_cached(statement, params).await?.iter().map(record).collect()
    }

    async fn find(&self, id: JobId) -> Result<Option<JobRecord>, Error> {
        let filter = Filter { id: Some(id), limit: 1, ..Filter::default() };
        for statement in [sql::LIST, sql::LIST_DEAD, sql::LIST_ENDED] {
            if let Some(found) = self.records_of(statement, &filter).await?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn end(&self, id: JobId) -> Result<Cancelled, Error> {
        let connection = self.database.exclusive().await?;
        if connection.execute_cached(sql::CANCEL_WAITING, &[&id.0]).await? == 1 {
            return Ok(Cancelled::Cancelled);
        }
        if connection.execute_cached(sql::CANCEL_RUNNING, &[&id.0]).await? == 1 {
            self.tell_cancelled(id);
            return Ok(Cancelled::Requested);
        }
        Ok(Cancelled::Unknown)
    }

    /// Tells the worker that runs a job that somebody wants its end.
    pub(crate) fn tell_cancelled(&self, id: JobId) {
        self.database.notify(CHANNEL, format!("-{id}"));
    }

    /// The depths by a statement that counts.
    pub(crate) async fn counted(&self, statement: &'static str) -> Result<Vec<Depth>, Error> {
        let connection = self.database.exclusive().await?;
        let rows = connection.query_cached(statement, &[]).await?;
        rows.iter().map(depth).collect()
    }
}

impl Ledger for Postgres {
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<JobRecord>, Error>> {
        let statement = match filter.state {
            None => sql::LIST,
            Some(JobState::Available) => sql::LIST_AVAILABLE,
            Some(JobState::Scheduled) => sql::LIST_SCHEDULED,
            Some(JobState::Retrying) => sql::LIST_RETRYING,
            Some(JobState::Running) => sql::LIST_RUNNING,
            Some(JobState::Held) => sql::LIST_HELD,
            Some(JobState::Done) => sql::LIST_DONE,
            Some(JobState::Cancelled) => sql::LIST_CANCELLED,
            Some(JobState::Dead) => sql::LIST_DEAD,
        };
        Box::pin(self.records_of(statement, filter))
    }

    fn show(&self, id: JobId) -> BoxFuture<'_, Result<Option<JobRecord>, Error>> {
        Box::pin(self.find(id))
    }

    fn retry(&self, id: JobId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        Box::pin(async move {
            let connection = self.database.exclusive().await?;
            let rows = connection.query_cached(sql::RETRY, &[&id.0]).await?;
            Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
        })
    }

    fn cancel(&self, id: JobId) -> BoxFuture<'_, Result<Cancelled, Error>> {
        Box::pin(self.end(id))
    }

    fn replay<'a>(&'a self, filter: &'a Filter, limit: u32) -> BoxFuture<'a, Result<Vec<Replayed>, Error>> {
        Box::pin(async move {
            let (id, after) = (filter.id.map(|id| id.0), filter.after.map(|id| id.0));
            let connection = self.database.exclusive().await?;
            let rows = connection
                .query_cached(sql::REPLAY, &[&id, &filter.queue, &filter.kind, &after, &i64::from(limit)])
                .await?;
            let replayed = |row: &Row| Ok(Replayed { id: JobId(row.try_get(0)?), queue: row.try_get(1)? });
            rows.iter().map(replayed).collect()
        })
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Error>> {
        Box::pin(self.counted(sql::DEPTHS))
    }

    fn depths_bounded(&self) -> BoxFuture<'_, Result<Vec<Depth>, Error>> {
        Box::pin(self.counted(sql::DEPTHS_BOUNDED))
    }

    fn vitals(&self) -> BoxFuture<'_, Result<Vec<Vital>, Error>> {
        Box::pin(async move {
            let shared = self.database.shared().await?;
            let (dead_rows, pinned_seconds): (f64, f64) = shared.query_one(sql::VITALS, &[]).await?;
            Ok(vec![
                Vital {
                    name: "onefold_queue_dead_rows",
                    help: "Rows of ended jobs that vacuum has not removed; fetches step over them.",
                    value: dead_rows,
                },
                Vital {
                    name: "onefold_queue_oldest_transaction_seconds",
                    help: "Age of the oldest transaction that keeps vacuum from removing ended jobs.",
                    value: pinned_seconds,
                },
            ])
        })
    }

    fn announce(&self, queue: &str) {
        self.database.notify(CHANNEL, format!("+{queue}"));
    }
}

fn record(row: &Row) -> Result<JobRecord, Error> {
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let state: &str = row.try_get(5)?;
    let errors: Option<Json<Vec<Attempted>>> = row.try_get(15)?;
    Ok(JobRecord {
        id: JobId(row.try_get(0)?),
        queue: row.try_get(1)?,
        kind: row.try_get(2)?,
        version: count(row.try_get(3)?),
        priority: Priority::from_number(row.try_get(4)?),
        state: state.parse().unwrap_or(JobState::Available),
        attempt: count(row.try_get(6)?),
        attempts_max: count(row.try_get(7)?),
        run_at: row.try_get(8)?,
        created_at: row.try_get(9)?,
        ended_at: row.try_get(10)?,
        node: row.try_get(11)?,
        args: row.try_get::<_, Json<Box<RawValue>>>(12)?.0,
        unique_key: row.try_get(13)?,
        trace: row.try_get(14)?,
        errors: errors.map(|Json(errors)| errors).unwrap_or_default(),
    })
}

fn depth(row: &Row) -> Result<Depth, Error> {
    let count = |index| row.try_get(index).map(|n: i64| u64::try_from(n).unwrap_or(0));
    Ok(Depth {
        queue: row.try_get(0)?,
        available: count(1)?,
        scheduled: count(2)?,
        retrying: count(3)?,
        running: count(4)?,
        held: count(5)?,
        dead: count(6)?,
        oldest_seconds: row.try_get(7)?,
    })
}
