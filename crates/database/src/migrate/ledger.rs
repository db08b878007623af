//! What was applied, and whether that is the beginning of what a build holds.

use super::{Migration, MigrationSet};
use crate::connection::Connection;
use crate::error::Error;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Transaction;

/// How a database's schema differs from what a build holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaMismatch {
    /// A migration was edited after it had been applied.
    #[error("migration {name} of {owner} was changed after it was applied; restore it, and write a new one")]
    Changed {
        /// Whose it is.
        owner: String,
        /// Its name.
        name: String,
    },
    /// The database has one that this build does not hold, although it holds later ones.
    #[error("migration {name} of {owner} was applied and is missing in this build; restore it")]
    Missing {
        /// Whose it is.
        owner: String,
        /// Its name.
        name: String,
    },
    /// The database is ahead of this build.
    #[error(
        "the schema of {owner} is newer than this build: it has {name}, and this build knows {known}; run the newer build"
    )]
    Newer {
        /// Whose it is.
        owner: String,
        /// The first migration that this build does not know.
        name: String,
        /// The last one that it does.
        known: String,
    },
    /// This build is ahead of the database.
    #[error("migration {name} of {owner} is pending; run `migrate`")]
    Pending {
        /// Whose it is.
        owner: String,
        /// The first one to apply.
        name: String,
    },
}

const LEDGER: &str = "\
create schema if not exists onefold;
create table if not exists onefold.migration (
    owner text not null,
    position int not null,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now(),
    primary key (owner, position)
)";
const LEDGER_EXISTS: &str = "select to_regclass('onefold.migration') is not null";
const LEDGER_READ: &str = "select name, checksum from onefold.migration where owner = $1 order by position";
const LEDGER_WRITE: &str =
    "insert into onefold.migration (owner, position, name, checksum) values ($1, $2, $3, $4)";

pub(super) async fn make(connection: &Connection) -> Result<(), Error> {
    if !read_flag(connection, LEDGER_EXISTS).await? {
        connection.batch_execute(LEDGER).await?;
    }
    Ok(())
}

pub(super) async fn enter(
    tx: &Transaction<'_>,
    owner: &str,
    position: i32,
    migration: &Migration,
) -> Result<(), Error> {
    tx.execute(LEDGER_WRITE, &[&owner, &position, &migration.name, &checksum(migration.sql)]).await?;
    Ok(())
}

pub(super) type Ledger = Vec<(String, Vec<u8>)>;

pub(super) async fn read(connection: &Connection, owner: &str) -> Result<Ledger, Error> {
    if !read_flag(connection, LEDGER_EXISTS).await? {
        return Ok(Vec::new());
    }
    crate::row::all(&connection.query(LEDGER_READ, &[&owner]).await?)
}

async fn read_flag(connection: &Connection, sql: &str) -> Result<bool, Error> {
    Ok(connection.query_one(sql, &[]).await?.try_get(0)?)
}

fn checksum(sql: &str) -> Vec<u8> {
    Sha256::digest(sql).to_vec()
}

/// The migrations still to apply, if what was applied is the beginning of the set.
pub(super) fn compare<'a>(
    set: &'a MigrationSet,
    ledger: &[(String, Vec<u8>)],
) -> Result<&'a [Migration], SchemaMismatch> {
    let known = |name: &str| set.migrations.iter().any(|migration| migration.name == name);
    for (i, (name, applied)) in ledger.iter().enumerate() {
        let (owner, name) = (set.owner.to_owned(), name.clone());
        match set.migrations.get(i) {
            Some(migration) if migration.name == name && checksum(migration.sql) == *applied => {}
            Some(migration) if migration.name == name => return Err(SchemaMismatch::Changed { owner, name }),
            Some(_) => return Err(SchemaMismatch::Missing { owner, name }),
            None if known(&name) => return Err(SchemaMismatch::Missing { owner, name }),
            None => {
                let last = set.migrations.last().map_or("none", |migration| migration.name);
                return Err(SchemaMismatch::Newer { owner, name, known: format!("up to {last}") });
            }
        }
    }
    Ok(&set.migrations[ledger.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { name: "1", sql: "one" };
    const TWO: Migration = Migration { name: "2", sql: "two" };

    fn compared(held: &'static [Migration], applied: &[Migration]) -> Result<usize, SchemaMismatch> {
        let ledger: Ledger = applied.iter().map(|m| (m.name.to_owned(), checksum(m.sql))).collect();
        compare(&MigrationSet { owner: "app", migrations: held }, &ledger).map(<[Migration]>::len)
    }

    #[test]
    fn what_was_applied_must_be_the_beginning_of_what_is_held() {
        let (owner, name) = ("app".to_owned(), "2".to_owned());
        assert_eq!(compared(&[ONE, TWO], &[]), Ok(2));
        assert_eq!(compared(&[ONE, TWO], &[ONE]), Ok(1));
        let known = "up to 1".to_owned();
        assert_eq!(compared(&[ONE], &[ONE, TWO]), Err(SchemaMismatch::Newer { owner, name, known }));
        let swapped = compared(&[ONE, TWO], &[TWO, ONE]);
        assert!(matches!(swapped, Err(SchemaMismatch::Missing { name, .. }) if name == "2"));
        let changed = compared(&[ONE, TWO], &[Migration { sql: "other", ..ONE }]);
        assert!(matches!(changed, Err(SchemaMismatch::Changed { name, .. }) if name == "1"));
    }
}
