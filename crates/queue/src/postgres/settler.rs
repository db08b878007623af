//! Writes back how a worker's executions ended: at most one statement for each way to end.

use super::columns::micros;
use super::held::Held;
use super::sql;
use crate::store::{Attempted, End, Settlement, Settler, WorkerId};
use crate::{BoxFuture, Error, JobId};
use onefold_database::{Connection, Database, Params};
use std::time::Duration;
use tokio_postgres::types::Json;

#[derive(Debug)]
pub(super) struct Ends {
    held: Held,
    worker: WorkerId,
}

impl Ends {
    pub(super) fn new(database: Database, worker: WorkerId) -> Self {
        Self { held: Held::new(database), worker }
    }

    async fn write(&mut self, settlements: &[Settlement]) -> Result<Vec<JobId>, Error> {
        let worker = self.worker.0;
        let connection = self.held.get().await?;
        let Sorted { done, record, back, dead } = Sorted::of(settlements);
        let mut settled = Vec::with_capacity(settlements.len());
        if !done.ids.is_empty() {
            run(connection, sql::DONE, &[&worker, &done.ids, &done.runs], &mut settled).await?;
        }
        if !record.ids.is_empty() {
            let params: Params<'_> = &[&worker, &record.ids, &record.runs, &record.run_us, &record.cancelled];
            run(connection, sql::RECORD, params, &mut settled).await?;
        }
        if !back.ids.is_empty() {
            let Back { ids, runs, states, delays_us, uncounted, errors } = &back;
            let params: Params<'_> = &[&worker, ids, runs, states, delays_us, uncounted, errors];
            run(connection, sql::PUT_BACK, params, &mut settled).await?;
        }
        if !dead.ids.is_empty() {
            let params: Params<'_> = &[&worker, &dead.ids, &dead.runs, &dead.errors];
            run(connection, sql::DIE, params, &mut settled).await?;
        }
        Ok(settled)
    }
}

impl Settler for Ends {
    fn settle<'a>(&'a mut self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<Vec<JobId>, Error>> {
        Box::pin(async move {
            let settled = self.write(settlements).await;
            if settled.is_err() {
                self.held.release();
            }
            settled
        })
    }
}

async fn run(
    connection: &Connection,
    statement: &'static str,
    params: Params<'_>,
    settled: &mut Vec<JobId>,
) -> Result<(), Error> {
    for row in connection.query_cached(statement, params).await? {
        settled.push(JobId(row.try_get(0)?));
    }
    Ok(())
}

/// Settlements by the statement that writes them, as columns.
#[derive(Debug, Default)]
struct Sorted<'a> {
    done: Done,
    record: Record,
    back: Back<'a>,
    dead: Dead<'a>,
}

#[derive(Debug, Default)]
struct Done {
    ids: Vec<i64>,
    runs: Vec<i32>,
}

#[derive(Debug, Default)]
struct Record {
    ids: Vec<i64>,
    runs: Vec<i32>,
    run_us: Vec<i64>,
    cancelled: Vec<bool>,
}

#[derive(Debug, Default)]
struct Back<'a> {
    ids: Vec<i64>,
    runs: Vec<i32>,
    states: Vec<i16>,
    delays_us: Vec<Option<i64>>,
    uncounted: Vec<i32>,
    errors: Vec<Option<Json<&'a Attempted>>>,
}

#[derive(Debug, Default)]
struct Dead<'a> {
    ids: Vec<i64>,
    runs: Vec<i32>,
    errors: Vec<Json<&'a Attempted>>,
}

/// The states of the hot table that a job is put back into.
const AVAILABLE: i16 = 0;
const HELD: i16 = 2;

impl<'a> Sorted<'a> {
    fn of(settlements: &'a [Settlement]) -> Self {
        let mut sorted = Self::default();
        for Settlement { execution, end } in settlements {
            let (id, run) = (execution.id.0, execution.run);
            match end {
                End::Done(None) => {
                    sorted.done.ids.push(id);
                    sorted.done.runs.push(run);
                }
                End::Done(Some(took)) => sorted.record.push(id, run, *took, false),
                End::Cancelled(took) => sorted.record.push(id, run, *took, true),
                End::Retry { delay, error } => {
                    sorted.back.push(id, run, (AVAILABLE, 0), Some(*delay), Some(error));
                }
                End::Snooze(delay) => sorted.back.push(id, run, (AVAILABLE, 1), Some(*delay), None),
                End::Release => sorted.back.push(id, run, (AVAILABLE, 1), None, None),
                End::Park => sorted.back.push(id, run, (HELD, 1), None, None),
                End::Dead(error) => {
                    sorted.dead.ids.push(id);
                    sorted.dead.runs.push(run);
                    sorted.dead.errors.push(Json(error));
                }
            }
        }
        sorted
    }
}

impl Record {
    fn push(&mut self, id: i64, run: i32, took: Duration, cancelled: bool) {
        self.ids.push(id);
        self.runs.push(run);
        self.run_us.push(micros(took));
        self.cancelled.push(cancelled);
    }
}

impl<'a> Back<'a> {
    fn push(
        &mut self,
        id: i64,
        run: i32,
        (state, uncounted): (i16, i32),
        delay: Option<Duration>,
        error: Option<&'a Attempted>,
    ) {
        self.ids.push(id);
        self.runs.push(run);
        self.states.push(state);
        self.uncounted.push(uncounted);
        self.delays_us.push(delay.map(micros));
        self.errors.push(error.map(Json));
    }
}
