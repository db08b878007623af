//! Migrations: ordered, checksummed, applied under a lock, refused where history differs.
//!
//! Each set has an owner: a tier, or the application. What was applied must be a prefix of what the build holds,
//! name by name and byte by byte; else the build and the database do not belong together, and the error names
//! the migration at fault.

mod ledger;

pub use ledger::SchemaMismatch;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Error;
use serde::Serialize;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// One step of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its name, never changed once released.
    pub name: &'static str,
    /// Its statements, run in one transaction.
    pub sql: &'static str,
}

/// All steps of one owner's schema, in order.
#[derive(Clone, Copy, Debug)]
pub struct MigrationSet {
    /// Whose they are: a tier's word, or `app`.
    pub owner: &'static str,
    /// The steps.
    pub migrations: &'static [Migration],
}

/// A migration that was applied now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Whose it is.
    pub owner: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// What this tier itself needs.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "database",
    migrations: &[Migration {
        name: "0001_system_outbox_idempotency",
        sql: include_str!("../migrations/0001_system_outbox_idempotency.sql"),
    }],
};

/// `onefold` in ASCII: the advisory lock under which migrations run.
const LOCK: i64 = 0x6f_6e65_666f_6c64;
/// A migration that cannot have its locks by then gives up, or all that queue behind it would wait too.
const LOCK_TIMEOUT: &str = "set lock_timeout = '5s'";
const LOCK_TRIES_MAX: u32 = 5;
/// How long one process waits for another's migrations.
const TURN_MAX: Duration = Duration::from_mins(2);
const TURN_POLL: Duration = Duration::from_millis(50);
impl Database {
    /// Applies what is pending: this tier's own set, then `sets` in order. Of two processes that migrate at once,
    /// one waits and finds nothing to do.
    ///
    /// # Errors
    /// [`Error::Schema`] where what was applied differs from what the sets hold; then nothing is changed.
    /// [`Error::Database`] where a migration fails; it is rolled back, those before it stay.
    pub async fn migrate(&self, sets: &[MigrationSet]) -> Result<Vec<Applied>, Error> {
        let mut connection = self.exclusive().await?;
        take_turn(&connection).await?;
        let applied = migrate_all(&mut connection, sets).await;
        // Also what a failed migration left: the lock is the session's, not a transaction's.
        let settled =
            connection.batch_execute("rollback; reset lock_timeout; select pg_advisory_unlock_all()").await;
        let applied = applied?;
        settled?;
        connection.forget_statements();
        // It may be the only one.
        drop(connection);
        self.load_keys().await?;
        Ok(applied)
    }

    /// Compares the database's schema with what this build holds.
    ///
    /// # Errors
    /// [`Error::Schema`] where they differ, or where something is pending.
    pub async fn check_schema(&self, sets: &[MigrationSet]) -> Result<(), Error> {
        let connection = self.exclusive().await?;
        for set in with_own(sets) {
            let entries = ledger::read(&connection, set.owner).await?;
            let pending = ledger::compare(set, &entries)?;
            if let Some(first) = pending.first() {
                let (owner, name) = (set.owner.to_owned(), first.name.to_owned());
                return Err(SchemaMismatch::Pending { owner, name }.into());
            }
        }
        Ok(())
    }
}

fn with_own(sets: &[MigrationSet]) -> impl Iterator<Item = &MigrationSet> {
    std::iter::once(&MIGRATIONS).chain(sets.iter().filter(|set| set.owner != MIGRATIONS.owner))
}

async fn take_turn(connection: &Connection) -> Result<(), Error> {
    // Polled, so that no long lock wait pins a snapshot under which the other's `create index` would wait for us.
    let waiting = async {
        while !connection
            .query_one("select pg_try_advisory_lock($1)", &[&LOCK])
            .await?
            .try_get::<_, bool>(0)?
        {
            tokio::time::sleep(TURN_POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(TURN_MAX, waiting).await.unwrap_or(Err(Error::Timeout))
}

async fn migrate_all(connection: &mut Connection, sets: &[MigrationSet]) -> Result<Vec<Applied>, Error> {
    connection.batch_execute(LOCK_TIMEOUT).await?;
    ledger::make(connection).await?;
    let mut pending = Vec::new();
    for set in with_own(sets) {
        let entries = ledger::read(connection, set.owner).await?;
        pending.extend(
            ledger::compare(set, &entries)?
                .iter()
                .enumerate()
                .map(|(i, m)| (set.owner, entries.len() + i, m)),
        );
    }
    let mut applied = Vec::new();
    for (owner, position, migration) in pending {
        apply(connection, owner, position, migration).await?;
        tracing::info!(migration.owner = owner, migration.name = migration.name, "migration applied");
        applied.push(Applied { owner, name: migration.name });
    }
    Ok(applied)
}

/// Applies one, again where it could not have its locks in time.
async fn apply(
    connection: &mut Connection,
    owner: &str,
    position: usize,
    migration: &Migration,
) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match apply_once(connection, owner, position, migration).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && tries < LOCK_TRIES_MAX => {
                tracing::warn!(migration.name = migration.name, "migration waits for its locks");
            }
            outcome => return outcome,
        }
    }
}

async fn apply_once(
    connection: &mut Connection,
    owner: &str,
    position: usize,
    migration: &Migration,
) -> Result<(), Error> {
    let position = i32::try_from(position).map_err(|_| Error::Aborted)?;
    let tx = connection.transaction().await?;
    tx.batch_execute(migration.sql).await?;
    ledger::enter(&tx, owner, position, migration).await?;
    Ok(tx.commit().await?)
}
