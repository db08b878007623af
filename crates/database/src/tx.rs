//! A transaction on the primary that also collects effects.

use crate::connection::{Connection, Params};
use crate::db::Db;
use crate::effect::{Effect, OutboxRecord};
use crate::error::Error;
use crate::lane::{Exclusive, Remains, lsn_of};
use crate::outbox;
use crate::row::{self, FromRow};
use crate::servers::Primary;
use crate::session::Position;
use crate::sql;
use crate::token::Token;
use futures_util::future::{join_all, join3, maybe_done};
use futures_util::{Stream, StreamExt as _};
use onefold_core::Lsn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;

/// How long a commit waits for its effects to be in force before it answers without their confirmation.
pub const EFFECTS_MAX: Duration = Duration::from_millis(50);

/// A transaction.
///
/// A database error poisons it: everything after fails with [`Error::Aborted`], as does the commit, until a
/// savepoint from before the error is rolled back to. Dropped without a commit it is rolled back, and so are
/// its effects. A dropped call leaves it poisoned, since nobody knows what the statement did.
pub struct Tx {
    connection: Exclusive,
    primary: Primary,
    db: Db,
    poisoned: bool,
    savepoints: u32,
    effects: Vec<Box<dyn Effect>>,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("poisoned", &self.poisoned).finish_non_exhaustive()
    }
}

/// What a commit came to.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The position that covers it; the session covers it already.
    pub token: Token,
    /// Whether all effects said that they are in force.
    pub confirmed: bool,
}

/// A place in a transaction to which it can be rolled back.
#[derive(Clone, Copy, Debug)]
#[must_use = "a savepoint is there to be rolled back to"]
pub struct Savepoint {
    name: u32,
    effects: usize,
}

pub(crate) async fn begin(db: &Db) -> Result<Tx, Error> {
    let servers = db.database().servers_handle();
    let deadline = db.session().deadline();
    let primary = servers.primary(deadline).await?;
    let mut connection = primary.server.transactions.acquire(servers.patience(deadline)).await?;
    connection.leaves(Remains::Statement);
    let begun = servers.within(deadline, async { Ok(connection.batch_execute("begin").await) }).await?;
    begun.map_err(|error| servers.failed(&primary.server, error))?;
    connection.leaves(Remains::Transaction);
    Ok(Tx { connection, primary, db: db.clone(), poisoned: false, savepoints: 0, effects: Vec::new() })
}

impl Tx {
    /// All rows.
    ///
    /// # Errors
    /// [`Error::Aborted`] after an earlier error, [`Error::Timeout`], [`Error::Database`].
    pub async fn query<T: FromRow>(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<T>, Error> {
        row::all(&self.rows(sql, params).await?)
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// [`Error::ManyRows`], and as [`Tx::query`].
    pub async fn query_opt<T: FromRow>(&mut self, sql: &str, params: Params<'_>) -> Result<Option<T>, Error> {
        row::at_most_one(&self.rows(sql, params).await?)
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::ManyRows`], and as [`Tx::query`].
    pub async fn query_one<T: FromRow>(&mut self, sql: &str, params: Params<'_>) -> Result<T, Error> {
        row::exactly_one(&self.rows(sql, params).await?)
    }

    /// The rows as they come. A stream dropped early is read to its end by the next statement.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn query_stream<T: FromRow>(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + use<'_, T>, Error> {
        let rows = self.run(async |connection: &Connection| {
            let statement = connection.prepare_cached(sql).await?;
            connection.query_raw(&statement, params.iter().copied()).await
        });
        let rows = rows.await?;
        let poisoned = &mut self.poisoned;
        Ok(rows.map(move |row| {
            let row = row.inspect_err(|_| *poisoned = true)?;
            T::from_row(&row)
        }))
    }

    /// Runs a statement and answers how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        self.run(async |connection: &Connection| connection.execute_cached(sql, params).await).await
    }

    /// Marks a place to which [`Tx::roll_back_to`] can return.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        let savepoint = Savepoint { name: self.savepoints, effects: self.effects.len() };
        self.savepoints += 1;
        let text = format!("savepoint onefold_{}", savepoint.name);
        self.run(async |connection: &Connection| connection.batch_execute(&text).await).await?;
        Ok(savepoint)
    }

    /// Undoes everything since the savepoint, effects too, and heals a transaction that an error since then had
    /// poisoned.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.poisoned = false;
        self.effects.truncate(savepoint.effects);
        let text = format!("rollback to savepoint onefold_{}", savepoint.name);
        self.run(async |connection: &Connection| connection.batch_execute(&text).await).await
    }

    /// Adds what is to happen when this transaction commits.
    pub fn attach(&mut self, effect: impl Effect) {
        self.effects.push(Box::new(effect));
    }

    /// The session that it works in.
    pub fn session(&self) -> &crate::Session {
        self.db.session()
    }

    /// Commits, and has the effects happen.
    ///
    /// A dropped call leaves the COMMIT running; the effects with an outbox row are then applied from there.
    ///
    /// # Errors
    /// [`Error::Aborted`] after an earlier error: nothing was committed. [`Error::MaybeCommitted`] where the
    /// connection, the deadline or the wait for the standby ended too early to know. [`Error::Database`] where the
    /// commit was refused.
    pub async fn commit(mut self) -> Result<Committed, Error> {
        if self.poisoned {
            return Err(Error::Aborted);
        }
        let records: Vec<OutboxRecord> = self.effects.iter().filter_map(|effect| effect.record()).collect();
        let servers = Arc::clone(self.db.database().servers_handle());
        let sent = servers.clock().now();
        let (lsn, rows) = self.commit_in_one_flight(&records).await.inspect_err(|error| {
            if matches!(error, Error::MaybeCommitted) {
                servers.meters().maybe_committed.inc();
            }
        })?;
        let took = servers.clock().now().saturating_duration_since(sent);
        servers.meters().commit_seconds.observe(took.as_secs_f64());
        let effects = std::mem::take(&mut self.effects);
        let confirmed = self.settle(effects, lsn).await;
        if confirmed && !rows.is_empty() {
            self.db.database().acknowledger().confirmed(rows);
        }
        let position = Position { timeline: self.primary.timeline, lsn };
        let token = self.db.database().cover(self.db.session(), position, confirmed)?;
        Ok(Committed { token, confirmed })
    }

    /// Undoes everything. Dropping does the same, without waiting.
    ///
    /// # Errors
    /// [`Error::Database`] where the connection is lost, which undoes everything too.
    pub async fn roll_back(mut self) -> Result<(), Error> {
        self.connection.batch_execute("rollback").await?;
        self.connection.leaves(Remains::Nothing);
        Ok(())
    }

    async fn rows(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.run(async |connection: &Connection| connection.query_cached(sql, params).await).await
    }

    /// Runs one statement; an error or a dropped call poisons the transaction.
    async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        if self.poisoned {
            return Err(Error::Aborted);
        }
        self.poisoned = true;
        self.connection.leaves(Remains::Statement);
        let servers = self.db.database().servers_handle();
        let running = async { Ok(statement(&self.connection).await) };
        let outcome = servers.within(self.db.session().deadline(), running).await?;
        self.connection.leaves(Remains::Transaction);
        let value = outcome.map_err(|error| servers.failed(&self.primary.server, error))?;
        self.poisoned = false;
        Ok(value)
    }

    /// Outbox rows, COMMIT and position in one flight; answers the position and the rows' ids.
    async fn commit_in_one_flight(&mut self, records: &[OutboxRecord]) -> Result<(Lsn, Vec<i64>), Error> {
        let servers = self.db.database().servers_handle();
        let text = if records.is_empty() { sql::ALIVE } else { sql::OUTBOX_INSERT };
        let first = self.connection.prepare_cached(text).await?;
        let flush = self.connection.prepare_cached(sql::FLUSH_LSN).await?;
        let subjects: Vec<&str> = records.iter().map(|record| record.subject).collect();
        let payloads: Vec<&[u8]> = records.iter().map(|record| record.payload.as_slice()).collect();
        let headers = outbox::headers();
        let all: Params<'_> = &[&subjects, &payloads, &headers];
        let params = if records.is_empty() { &[] } else { all };

        self.connection.leaves(Remains::Commit);
        let connection = &self.connection;
        let flight = async {
            let mut first = pin!(maybe_done(connection.query(&first, params)));
            // What fails before it is sent must keep the COMMIT from being sent.
            let _ = futures_util::poll!(first.as_mut());
            if matches!(first.as_mut().output_mut(), Some(Err(_))) {
                return Ok((first.take_output(), None));
            }
            let commit = connection.batch_execute("commit");
            let flushed = connection.query_one(&flush, &[]);
            let ((), commit, flushed) = join3(first.as_mut(), commit, flushed).await;
            Ok((first.take_output(), Some((commit, flushed))))
        };
        let Ok((first, rest)) = servers.within(self.db.session().deadline(), flight).await else {
            return Err(Error::MaybeCommitted);
        };
        let failed = |error| servers.failed_write(&self.primary.server, error);
        let rows = first.ok_or(Error::MaybeCommitted)?.map_err(failed)?;
        let (commit, flushed) = rest.ok_or(Error::Aborted)?;
        commit.map_err(failed)?;
        let lsn = lsn_of(&flushed.map_err(failed)?)?;
        let wait_was_cut = self.connection.take_wait_was_cut();
        self.connection.leaves(Remains::Nothing);
        if wait_was_cut {
            return Err(Error::MaybeCommitted);
        }
        let ids = if records.is_empty() { Vec::new() } else { row::all(&rows)? };
        Ok((lsn, ids))
    }

    /// Has all effects happen at once; answers whether all confirmed in time.
    async fn settle(&self, effects: Vec<Box<dyn Effect>>, at: Lsn) -> bool {
        if effects.is_empty() {
            return true;
        }
        let mut all = join_all(effects.into_iter().map(|effect| effect.committed(at)));
        if let Ok(confirmed) = tokio::time::timeout(EFFECTS_MAX, &mut all).await {
            return confirmed.into_iter().all(|confirmed| confirmed);
        }
        self.db.database().servers_handle().meters().effects_late.inc();
        self.db.database().tasks().spawn("database-late-effects", async move {
            all.await;
        });
        false
    }
}
