//! Keys, transactions and their log.

use super::sql;
use super::transaction::{self, Durability, Transactions, bound_lock_waits};
use crate::store::{
    Change, Changes, Compare, Entry, Listing, Operation, Outcome, Past, Position, Txn, Writer,
};
use onefold_database::{Database, Error, Exclusive};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::{Row, Statement, Transaction};

/// How many revisions one answer holds at most.
const REVISIONS_MAX: i64 = 500;

/// How long a writer waits for another one, who may wait for a standby.
const WRITER_WAIT: &str = "1s";

pub(super) async fn list(database: &Database, prefix: &str) -> Result<Listing, Error> {
    let rows = database.shared().await?.query(sql::LIST, &[&prefix]).await?;
    // The counter's row always joins, so that an empty listing has a position too.
    let first = rows.first().ok_or(Error::NoRow)?;
    let position = Position { revision: first.try_get(0)?, epoch: first.try_get(1)? };
    let entries: Result<Vec<Option<Entry>>, Error> =
        rows.iter().map(|row| entry(row, [2, 3, 4, 5, 6])).collect();
    Ok(Listing { position, entries: entries?.into_iter().flatten().collect() })
}

pub(super) async fn changes(database: &Database, prefix: &str, after: Position) -> Result<Changes, Error> {
    let until = after.revision.saturating_add(REVISIONS_MAX);
    let rows = database.shared().await?.query(sql::CHANGES, &[&prefix, &after.revision, &until]).await?;
    let first = rows.first().ok_or(Error::NoRow)?;
    let (newest, compacted, epoch): (i64, i64, i64) =
        (first.try_get(0)?, first.try_get(1)?, first.try_get(2)?);
    if epoch != after.epoch || after.revision > newest {
        return Ok(Changes::Elsewhere);
    }
    if after.revision < compacted {
        return Ok(Changes::Compacted);
    }
    let changes: Result<Vec<Option<Change>>, Error> = rows.iter().map(change).collect();
    let position = Position { epoch, revision: newest.min(until) };
    Ok(Changes::Since { changes: changes?.into_iter().flatten().collect(), position, newest })
}

/// A row of the log; none where the counter's row joined nothing.
fn change(row: &Row) -> Result<Option<Change>, Error> {
    let Some(revision) = row.try_get::<_, Option<i64>>(3)? else { return Ok(None) };
    if let Some(entry) = entry(row, [4, 5, 6, 3, 7])? {
        return Ok(Some(Change::Put(entry)));
    }
    Ok(Some(Change::Deleted { key: Arc::from(row.try_get::<_, &str>(4)?), revision }))
}

/// An entry by its columns: key, value, created, revision, lease; none where there is no value.
fn entry(row: &Row, [key, value, created, revision, lease]: [usize; 5]) -> Result<Option<Entry>, Error> {
    let Some(value) = row.try_get::<_, Option<Json>>(value)? else { return Ok(None) };
    Ok(Some(Entry {
        key: row.try_get::<_, &str>(key)?.into(),
        value: Arc::new(value),
        created: row.try_get(created)?,
        revision: row.try_get(revision)?,
        lease: row.try_get::<_, Option<&str>>(lease)?.map(Arc::from),
    }))
}

/// Answers also whether something changed.
pub(super) async fn commit(transactions: &Transactions, txn: Txn) -> Result<(Outcome, bool), Error> {
    transactions
        .run(async move |mut connection: Exclusive| {
            let steps = Steps::prepare(&connection).await?;
            let tx = connection.transaction().await?;
            bound_lock_waits(&tx, WRITER_WAIT).await?;
            let (epoch, revision) = next_revision(&tx, &steps.next).await?;
            let held = compared(&tx, &txn.compare).await?;
            let chosen = if held { &txn.then } else { &txn.otherwise };
            let Some(durability) = steps.apply(&tx, chosen, revision, &txn.writer).await? else {
                tx.rollback().await?;
                return Ok((Outcome { held, position: Position { epoch, revision: revision - 1 } }, false));
            };
            transaction::commit(tx, durability).await?;
            Ok((Outcome { held, position: Position { epoch, revision } }, true))
        })
        .await
}

/// Takes the next revision, and the place of the only writer. Answers epoch and revision.
pub(super) async fn next_revision(tx: &Transaction<'_>, next: &Statement) -> Result<(i64, i64), Error> {
    let row = tx.query_one(next, &[]).await?;
    Ok((row.try_get(1)?, row.try_get(0)?))
}

/// What a transaction is made of, prepared.
struct Steps {
    next: Statement,
    put: Statement,
    delete: Statement,
}

impl Steps {
    async fn prepare(connection: &Exclusive) -> Result<Self, Error> {
        Ok(Self {
            next: connection.prepare_cached(sql::NEXT_REVISION).await?,
            put: connection.prepare_cached(sql::PUT).await?,
            delete: connection.prepare_cached(sql::DELETE).await?,
        })
    }

    /// Applies operations; none where nothing changed. What leases carry need not outlive this server: its owner
    /// writes it again.
    async fn apply(
        &self,
        tx: &Transaction<'_>,
        operations: &[Operation],
        revision: i64,
        writer: &Writer,
    ) -> Result<Option<Durability>, Error> {
        let mut durability = None;
        for operation in operations {
            let (actor, reason) = (&writer.actor, &writer.reason);
            let row = match operation {
                Operation::Put { key, value, lease } => {
                    tx.query_opt(&self.put, &[key, value, &revision, lease, actor, reason]).await?
                }
                Operation::Delete { key } => {
                    tx.query_opt(&self.delete, &[key, &revision, actor, reason]).await?
                }
            };
            let Some(row) = row else { continue };
            if row.try_get(0)? {
                durability = Some(Durability::Everywhere);
            } else {
                durability.get_or_insert(Durability::Here);
            }
        }
        Ok(durability)
    }
}

async fn compared(tx: &Transaction<'_>, compare: &[Compare]) -> Result<bool, Error> {
    if compare.is_empty() {
        return Ok(true);
    }
    let keys: Vec<&str> = compare
        .iter()
        .map(|compare| match compare {
            Compare::Revision { key, .. } | Compare::Value { key, .. } => key.as_str(),
        })
        .collect();
    let rows = tx.query(sql::COMPARED, &[&keys]).await?;
    let mut now: HashMap<&str, (i64, Json)> = HashMap::new();
    for row in &rows {
        now.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    Ok(compare.iter().all(|compare| match compare {
        Compare::Revision { key, is } => now.get(key.as_str()).map_or(0, |(revision, _)| *revision) == *is,
        Compare::Value { key, is } => now.get(key.as_str()).is_some_and(|(_, value)| value == is),
    }))
}

pub(super) async fn history(database: &Database, key: &str, limit: u32) -> Result<Vec<Past>, Error> {
    let rows = database.shared().await?.query(sql::HISTORY, &[&key, &i64::from(limit)]).await?;
    rows.iter().map(past).collect()
}

pub(super) async fn latest(database: &Database, keys: &[String]) -> Result<HashMap<String, Past>, Error> {
    let rows = database.shared().await?.query(sql::LATEST, &[&keys]).await?;
    rows.iter().map(|row| Ok((row.try_get(5)?, past(row)?))).collect()
}

fn past(row: &Row) -> Result<Past, Error> {
    Ok(Past {
        revision: row.try_get(0)?,
        value: row.try_get(1)?,
        actor: row.try_get(2)?,
        reason: row.try_get(3)?,
        at: row.try_get(4)?,
    })
}

pub(super) async fn compact(transactions: &Transactions, revision: i64, past: u32) -> Result<(), Error> {
    transactions
        .run(async move |mut connection: Exclusive| {
            let compact = connection.prepare_cached(sql::COMPACT).await?;
            let forget = connection.prepare_cached(sql::FORGET).await?;
            let forget_leases = connection.prepare_cached(sql::FORGET_LEASES).await?;
            let tx = connection.transaction().await?;
            bound_lock_waits(&tx, WRITER_WAIT).await?;
            tx.execute(&compact, &[&revision]).await?;
            tx.execute(&forget, &[&revision, &i64::from(past)]).await?;
            tx.execute(&forget_leases, &[]).await?;
            transaction::commit(tx, Durability::Here).await
        })
        .await
}
