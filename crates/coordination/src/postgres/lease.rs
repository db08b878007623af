//! Leases, on the primary's clock.

use super::transaction::{self, Durability, Transactions, bound_lock_waits};
use super::{kv, sql};
use crate::error::Error as StoreError;
use crate::store::{Acquired, FencingToken, Grant, Report};
use chrono::{DateTime, Utc};
use onefold_database::{Database, Error, Exclusive, Tx};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// How long a takeover waits for the holder's fenced transaction before it answers.
const TAKEOVER_WAIT: &str = "100ms";

/// An answer that took longer than this says nothing about who could renew meanwhile.
const JUDGEMENT_MAX: Duration = Duration::from_millis(500);

/// A lease as it was read.
struct Seen {
    holder: String,
    token: i64,
    ttl_ms: i64,
    timeline: i64,
    released: bool,
    remaining_ms: i64,
    timeline_now: i64,
}

pub(super) async fn acquire(
    transactions: &Transactions,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Acquired, Error> {
    let database = &transactions.database;
    let seen = transactions.bounded(read(database, name)).await?;
    if let Some(seen) = &seen
        && !seen.released
    {
        if seen.timeline < seen.timeline_now {
            let params: onefold_database::Params<'_> = &[&name, &seen.token, &seen.timeline_now];
            let redating = async { database.shared().await?.execute(sql::REDATE, params).await };
            transactions.bounded(redating).await?;
            return Ok(seen.held(seen.ttl_ms));
        }
        if seen.remaining_ms > 0 {
            return Ok(seen.held(seen.remaining_ms));
        }
    }
    match take(transactions, name, holder, ttl, seen.as_ref().map_or(0, |seen| seen.token)).await? {
        Some(token) => Ok(Acquired::Granted(Grant { name: name.to_owned(), token: FencingToken(token) })),
        // Another was first, or a fenced transaction of the last holder is still open.
        None => match transactions.bounded(read(database, name)).await? {
            Some(seen) => Ok(seen.held(seen.remaining_ms)),
            None => Ok(Acquired::Held { remaining: Duration::ZERO, holder: String::new() }),
        },
    }
}

async fn read(database: &Database, name: &str) -> Result<Option<Seen>, Error> {
    let rows = database.shared().await?.query(sql::LEASE, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Seen {
        holder: row.try_get(0)?,
        token: row.try_get(1)?,
        ttl_ms: row.try_get(2)?,
        timeline: row.try_get(3)?,
        released: row.try_get(4)?,
        remaining_ms: row.try_get(5)?,
        timeline_now: row.try_get(6)?,
    }))
}

/// Takes a lease that was seen free under `seen`; none where it is not free any more. The grant commits as the
/// server commits by default: one that a failover loses would have two holders.
async fn take(
    transactions: &Transactions,
    name: &str,
    holder: &str,
    ttl: Duration,
    seen: i64,
) -> Result<Option<i64>, Error> {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    transactions
        .run(async move |mut connection: Exclusive| {
            let take = connection.prepare_cached(sql::TAKE).await?;
            let tx = connection.transaction().await?;
            bound_lock_waits(&tx, TAKEOVER_WAIT).await?;
            let row = match tx.query_opt(&take, &[&name, &holder, &milliseconds(ttl), &seen]).await {
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(None),
                row => row?,
            };
            let Some(row) = row else { return Ok(None) };
            transaction::commit(tx, Durability::Everywhere).await?;
            Ok(Some(row.try_get(0)?))
        })
        .await
}

pub(super) async fn renew(
    database: &Database,
    grant: &Grant,
    ttl: Duration,
    report: i64,
) -> Result<bool, Error> {
    let params: onefold_database::Params<'_> = &[&grant.name, &grant.token.0, &milliseconds(ttl), &report];
    Ok(database.shared().await?.execute(sql::RENEW, params).await? == 1)
}

pub(super) async fn release(database: &Database, grant: &Grant) -> Result<(), Error> {
    database.shared().await?.execute(sql::RELEASE, &[&grant.name, &grant.token.0]).await.map(drop)
}

pub(super) async fn reap(transactions: &Transactions, prefix: &str) -> Result<u64, Error> {
    let asking = async { transactions.database.shared().await?.query_one(sql::REAPABLE, &[&prefix]).await };
    let (any, at): (bool, DateTime<Utc>) = match tokio::time::timeout(JUDGEMENT_MAX, asking).await {
        Ok(answer) => answer?,
        Err(_) => return Ok(0),
    };
    if !any {
        return Ok(0);
    }
    let prefix = prefix.to_owned();
    transactions
        .run(async move |mut connection: Exclusive| {
            let next = connection.prepare_cached(sql::NEXT_REVISION).await?;
            let reap = connection.prepare_cached(sql::REAP).await?;
            let keys = connection.prepare_cached(sql::REAP_KEYS).await?;
            let tx = connection.transaction().await?;
            bound_lock_waits(&tx, TAKEOVER_WAIT).await?;
            let (_, revision) = kv::next_revision(&tx, &next).await?;
            let ended = tx.execute(&reap, &[&prefix, &at]).await?;
            let gone = tx.execute(&keys, &[&prefix, &revision]).await?;
            if ended + gone > 0 {
                transaction::commit(tx, Durability::Here).await?;
            }
            Ok(ended)
        })
        .await
}

pub(super) async fn reports(database: &Database, prefix: &str) -> Result<Vec<Report>, Error> {
    let rows = database.shared().await?.query(sql::REPORTS, &[&prefix]).await?;
    rows.iter()
        .map(|row| Ok(Report { name: row.try_get(0)?, holder: row.try_get(1)?, report: row.try_get(2)? }))
        .collect()
}

pub(super) async fn fence(tx: &mut Tx, grant: &Grant) -> Result<(), StoreError> {
    match tx.query_opt::<i64>(sql::FENCE, &[&grant.name, &grant.token.0]).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::LeaseLost { name: grant.name.clone() }),
    }
}

impl Seen {
    fn held(&self, remaining_ms: i64) -> Acquired {
        let remaining = Duration::from_millis(remaining_ms.try_into().unwrap_or(0));
        Acquired::Held { remaining, holder: self.holder.clone() }
    }
}

fn milliseconds(ttl: Duration) -> i64 {
    ttl.as_millis().try_into().unwrap_or(i64::MAX)
}
