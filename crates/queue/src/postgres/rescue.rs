//! Frees what dead workers held.

use super::sql;
use crate::Error;
use crate::store::Rescued;
use onefold_database::{Database, Session};

/// What a rescued job's error history says of the attempt.
const DIED: &str = "the worker died or lost its lease";

/// One transaction: the expired rows go first, so that fetches in progress under them have ended and later ones
/// find no worker; then, by a new snapshot, every running job without a worker is dealt with.
pub(super) async fn rescue(database: &Database) -> Result<Rescued, Error> {
    let mut tx = database.db(Session::new()).begin().await?;
    let expired: Vec<i64> = tx.query(sql::EXPIRE, &[]).await?;
    let dead: Vec<(i64, String)> = tx.query(sql::ORPHANS_DIE, &[&DIED]).await?;
    tx.execute(sql::ORPHANS_CANCELLED, &[]).await?;
    let freed: Vec<String> = tx.query(sql::ORPHANS_FREED, &[&DIED]).await?;
    let rescued = Rescued {
        workers: expired.len() as u64,
        freed,
        dead: dead.into_iter().map(|(_, kind)| kind).collect(),
    };
    if rescued == Rescued::default() {
        tx.roll_back().await?;
    } else {
        tx.commit().await?;
    }
    Ok(rescued)
}
