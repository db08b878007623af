//! The outbox: effects that were committed, for those who apply them when the node that committed did not, and
//! for the tails that must see every one.

use crate::database::Database;
use crate::error::Error;
use crate::sql;
use onefold_core::{TaskGroup, TraceContext};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::Row;

/// Acknowledgements that wait; beyond that the dispatcher applies the effect once more, which is idempotent.
const ACKNOWLEDGEMENTS_MAX: usize = 4096;
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(10);
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// One committed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Unique, and in no order that means anything.
    pub id: i64,
    /// The transaction that wrote it.
    pub xid: i64,
    /// Whose it is.
    pub subject: String,
    /// What that reader understands.
    pub payload: Vec<u8>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

impl OutboxRow {
    pub(crate) fn read(row: &Row, first: usize) -> Result<Self, Error> {
        let headers: serde_json::Value = row.try_get(first + 4)?;
        Ok(Self {
            id: row.try_get(first)?,
            xid: row.try_get(first + 1)?,
            subject: row.try_get(first + 2)?,
            payload: row.try_get(first + 3)?,
            trace: headers["traceparent"].as_str().and_then(|text| text.parse().ok()),
        })
    }
}

/// What an outbox row carries beside its payload: the trace it was written in.
pub(crate) fn headers() -> serde_json::Value {
    match TraceContext::current() {
        Some(trace) => serde_json::json!({ "traceparent": trace.to_string() }),
        None => serde_json::json!({}),
    }
}

/// The outbox on the primary.
#[derive(Clone, Debug)]
pub struct Outbox {
    database: Database,
}

impl Outbox {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Rows of `subject` beyond the id `after` that nobody has acknowledged for `older_than`, at most `limit`, oldest
    /// ids first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a primary, else [`Error::Database`].
    pub async fn unacknowledged(
        &self,
        subject: &str,
        older_than: Duration,
        after: i64,
        limit: i64,
    ) -> Result<Vec<OutboxRow>, Error> {
        let connection = self.database.shared().await?;
        let rows = connection
            .query(sql::OUTBOX_UNACKNOWLEDGED, &[&subject, &older_than.as_secs_f64(), &limit, &after])
            .await?;
        rows.iter().map(|row| OutboxRow::read(row, 0)).collect()
    }

    /// Notes that the effects of these rows are in force.
    ///
    /// # Errors
    /// As [`Outbox::unacknowledged`].
    pub async fn acknowledge(&self, ids: &[i64]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        // A lost acknowledgement only means that an idempotent effect is applied again.
        self.database.write_without_wait(sql::OUTBOX_ACKNOWLEDGE, &[&ids]).await.map(drop)
    }
}

/// Acknowledges in batches what committing nodes have confirmed themselves.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledger(mpsc::Sender<Vec<i64>>);

impl Acknowledger {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Vec<i64>>) {
        let (sender, receiver) = mpsc::channel(ACKNOWLEDGEMENTS_MAX);
        (Self(sender), receiver)
    }

    pub(crate) fn confirmed(&self, ids: Vec<i64>) {
        // Full: the dispatcher will do it.
        let _ = self.0.try_send(ids);
    }
}

/// Starts what keeps the outbox small: acknowledgements and retention.
pub(crate) fn keep(database: &Database, receiver: mpsc::Receiver<Vec<i64>>, tasks: &TaskGroup) {
    let (outbox, stopping) = (database.outbox(), tasks.stopping());
    tasks.spawn("database-outbox-acknowledge", async move {
        stopping.run_until_cancelled(acknowledge_forever(&outbox, receiver)).await;
    });
    let (database, stopping) = (database.clone(), tasks.stopping());
    tasks.spawn("database-outbox-retention", async move {
        stopping.run_until_cancelled(expire_forever(&database)).await;
    });
}

async fn acknowledge_forever(outbox: &Outbox, mut receiver: mpsc::Receiver<Vec<i64>>) {
    while let Some(mut ids) = receiver.recv().await {
        tokio::time::sleep(ACKNOWLEDGE_EVERY).await;
        while let Ok(more) = receiver.try_recv() {
            ids.extend(more);
        }
        if let Err(error) = outbox.acknowledge(&ids).await {
            tracing::debug!("acknowledge outbox rows: {error}");
        }
    }
}

async fn expire_forever(database: &Database) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        if let Err(error) = database.write_without_wait(sql::OUTBOX_EXPIRE, &[]).await {
            tracing::debug!("expire outbox rows: {error}");
        }
    }
}
