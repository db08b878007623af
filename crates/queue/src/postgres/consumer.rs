//! Takes batches out of the hot table for one worker.

use super::held::Held;
use super::marks::{Mark, Marks, Scan};
use super::sql;
use crate::delivery::Fetched;
use crate::store::{Batch, Consumer, More, WorkerId};
use crate::{BoxFuture, Error, JobId, Priority};
use chrono::{DateTime, Utc};
use onefold_core::{Clock, Lsn};
use onefold_database::Database;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, PgLsn};

#[derive(Debug)]
pub(super) struct Fetcher {
    held: Held,
    clock: Clock,
    worker: WorkerId,
    queues: Vec<String>,
    /// One lane for each priority and queue, best priority first.
    marks: Marks,
    /// Which queue comes first within a priority: another at each fetch, so that none starves.
    turn: usize,
}

impl Fetcher {
    pub(super) fn new(database: Database, clock: Clock, worker: WorkerId, queues: &[String]) -> Self {
        let lanes = queues.len() * Priority::ALL.len();
        Self {
            held: Held::new(database),
            clock,
            worker,
            queues: queues.to_vec(),
            marks: Marks::new(lanes),
            turn: 0,
        }
    }

    /// The lanes in the order of this fetch: by priority, the queues of one in turn.
    fn lanes(&self) -> Vec<usize> {
        let queues = self.queues.len();
        let turned = |priority: usize| (0..queues).map(move |n| priority * queues + (n + self.turn) % queues);
        (0..Priority::ALL.len()).flat_map(turned).collect()
    }

    fn queue(&self, lane: usize) -> &str {
        &self.queues[lane % self.queues.len()]
    }

    fn priority(&self, lane: usize) -> i16 {
        Priority::ALL[lane / self.queues.len()] as i16
    }

    fn lane_of(&self, job: &Fetched) -> Option<usize> {
        let queue = self.queues.iter().position(|queue| *queue == job.queue)?;
        Some(job.priority as usize * self.queues.len() + queue)
    }

    async fn take(&mut self, limit: usize) -> Result<Batch, Error> {
        let scan = self.marks.scan(self.clock.now());
        let lanes = self.lanes();
        self.turn = (self.turn + 1) % self.queues.len();
        let mut jobs = self.query(scan, &lanes, limit).await?;
        jobs.sort_unstable_by_key(|job| (job.priority, job.run_at, job.id));
        let full = jobs.len() >= limit;
        // Sorted, so that the last one of a lane is its mark.
        let last: Vec<_> = jobs
            .iter()
            .filter_map(|job| Some((self.lane_of(job)?, Mark { run_at: job.run_at, id: job.id.0 })))
            .collect();
        self.marks.note(scan, full, last, self.clock.now());
        let more = match scan {
            _ if full => More::Yes,
            Scan::Marked => More::Within(self.marks.until_full(self.clock.now())),
            Scan::Full => More::No(self.next_due(&lanes).await?),
        };
        Ok(Batch { jobs, more })
    }

    async fn query(&mut self, scan: Scan, lanes: &[usize], limit: usize) -> Result<Vec<Fetched>, Error> {
        let begins: Vec<Mark> = lanes.iter().map(|lane| self.marks.begin(*lane, scan)).collect();
        let queues: Vec<String> = lanes.iter().map(|lane| self.queue(*lane).to_owned()).collect();
        let priorities: Vec<i16> = lanes.iter().map(|lane| self.priority(*lane)).collect();
        let run_at: Vec<DateTime<Utc>> = begins.iter().map(|mark| mark.run_at).collect();
        let ids: Vec<i64> = begins.iter().map(|mark| mark.id).collect();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let worker = self.worker.0;
        let connection = self.held.get().await?;
        let rows = connection
            .query_cached(sql::FETCH, &[&worker, &queues, &priorities, &run_at, &ids, &limit])
            .await?;
        rows.iter().map(fetched).collect()
    }

    async fn next_due(&mut self, lanes: &[usize]) -> Result<Option<Duration>, Error> {
        let queues: Vec<String> = lanes.iter().map(|lane| self.queue(*lane).to_owned()).collect();
        let priorities: Vec<i16> = lanes.iter().map(|lane| self.priority(*lane)).collect();
        let rows = self.held.get().await?.query_cached(sql::NEXT_DUE, &[&queues, &priorities]).await?;
        let micros: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
        Ok(micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }
}

impl Consumer for Fetcher {
    fn fetch(&mut self, limit: usize) -> BoxFuture<'_, Result<Batch, Error>> {
        Box::pin(async move {
            let batch = self.take(limit).await;
            if batch.is_err() {
                self.held.release();
            }
            batch
        })
    }
}

fn fetched(row: &Row) -> Result<Fetched, Error> {
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let trace: Option<&str> = row.try_get(11)?;
    Ok(Fetched {
        id: JobId(row.try_get(0)?),
        run: row.try_get(1)?,
        attempt: count(row.try_get(2)?),
        attempts_max: count(row.try_get(3)?),
        version: count(row.try_get(4)?),
        priority: Priority::from_number(row.try_get(5)?),
        queue: row.try_get(6)?,
        kind: row.try_get(7)?,
        args: row.try_get::<_, Json<Box<RawValue>>>(8)?.0,
        run_at: row.try_get(9)?,
        created_at: row.try_get(10)?,
        trace: trace.and_then(|trace| trace.parse().ok()),
        session: row.try_get(12)?,
        deadline: row.try_get(13)?,
        fetched_at: row.try_get(14)?,
        seen: Lsn(row.try_get::<_, PgLsn>(15)?.into()),
    })
}
