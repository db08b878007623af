//! A transaction on the primary that also collects effects.

use crate::connection::{Connection, Params};
use crate::db::Db;
use crate::effect::Effect;
use crate::error::{self, Error};
use crate::idempotency::Claim;
use crate::lane::{Exclusive, Remains};
use crate::row::{self, FromRow};
use crate::servers::{Primary, Servers};
use futures_util::{Stream, StreamExt as _};
use onefold_core::Deadline;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tracing::Instrument as _;

/// A transaction.
///
/// A database error poisons it: everything after fails with [`Error::Aborted`], as does the commit, until a
/// savepoint from before the error is rolled back to. Dropped without a commit it is rolled back, and so are
/// its effects. A dropped call leaves it poisoned, since nobody knows what the statement did.
pub struct Tx {
    pub(crate) connection: Exclusive,
    pub(crate) primary: Primary,
    pub(crate) db: Db,
    pub(crate) poisoned: bool,
    savepoints: u32,
    pub(crate) effects: Vec<Box<dyn Effect>>,
    /// The idempotency key that it works under, and the answer to keep for it.
    pub(crate) claim: Option<Claim>,
    pub(crate) answer: Option<Vec<u8>>,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("poisoned", &self.poisoned).finish_non_exhaustive()
    }
}

/// A place in a transaction to which it can be rolled back.
#[derive(Clone, Copy, Debug)]
#[must_use = "a savepoint is there to be rolled back to"]
pub struct Savepoint {
    name: u32,
    effects: usize,
}

/// Begins a transaction with `text`, whose first statement is `begin`.
pub(crate) async fn begin(db: &Db, text: &str) -> Result<Tx, Error> {
    let servers = db.database().servers_handle();
    let deadline = db.session().deadline();
    let begun = match begin_once(servers, deadline, text).await {
        // A pooled connection may have died unnoticed; nothing was begun, so that another try is safe.
        Err(Error::Database(error)) if error::is_gone(&error) => begin_once(servers, deadline, text).await,
        begun => begun,
    };
    let (connection, primary) = begun?;
    Ok(Tx {
        connection,
        primary,
        db: db.clone(),
        poisoned: false,
        savepoints: 0,
        effects: Vec::new(),
        claim: None,
        answer: None,
    })
}

async fn begin_once(
    servers: &Servers,
    deadline: Option<Deadline>,
    text: &str,
) -> Result<(Exclusive, Primary), Error> {
    let primary = servers.primary(deadline).await?;
    let span = tracing::info_span!(
        "db.query",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = "begin",
        onefold.server = primary.server.name.as_str(),
        onefold.server.role = "primary",
    );
    begin_at(servers, deadline, text, primary).instrument(span).await
}

/// Gets a connection of the primary for a transaction alone, and begins it there.
async fn begin_at(
    servers: &Servers,
    deadline: Option<Deadline>,
    text: &str,
    primary: Primary,
) -> Result<(Exclusive, Primary), Error> {
    let acquired = primary.server.transactions.acquire(servers.patience(deadline)).await;
    let mut connection = acquired.map_err(|error| servers.failed(&primary.server, error))?;
    connection.leaves(Remains::Statement);
    let begun = servers.within(deadline, async { Ok(connection.batch_execute(text).await) }).await?;
    begun.map_err(|error| servers.failed(&primary.server, error))?;
    connection.leaves(Remains::Transaction);
    Ok((connection, primary))
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
        let rows = self.run(sql, async |connection: &Connection| {
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
        self.run(sql, async |connection: &Connection| connection.execute_cached(sql, params).await).await
    }

    /// Marks a place to which [`Tx::roll_back_to`] can return.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        let savepoint = Savepoint { name: self.savepoints, effects: self.effects.len() };
        self.savepoints += 1;
        let text = format!("savepoint onefold_{}", savepoint.name);
        self.run(&text, async |connection: &Connection| connection.batch_execute(&text).await).await?;
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
        self.run(&text, async |connection: &Connection| connection.batch_execute(&text).await).await
    }

    /// Adds what is to happen when this transaction commits.
    pub fn attach(&mut self, effect: impl Effect) {
        self.effects.push(Box::new(effect));
    }

    /// The session that it works in.
    pub fn session(&self) -> &crate::Session {
        self.db.session()
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

    pub(crate) async fn rows(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.run(sql, async |connection: &Connection| connection.query_cached(sql, params).await).await
    }

    /// Runs one statement; an error or a dropped call poisons the transaction.
    pub(crate) async fn run<T>(
        &mut self,
        sql: &str,
        statement: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        if self.poisoned {
            return Err(Error::Aborted);
        }
        self.poisoned = true;
        self.connection.leaves(Remains::Statement);
        let servers = self.db.database().servers_handle();
        let span = tracing::info_span!(
            "db.query",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.query.text = sql,
            onefold.server = self.primary.server.name.as_str(),
            onefold.server.role = "primary",
            error.type = tracing::field::Empty,
        );
        let running = async { Ok(statement(&self.connection).await) };
        let outcome = servers.within(self.db.session().deadline(), running).instrument(span.clone()).await?;
        self.connection.leaves(Remains::Transaction);
        let value = outcome.map_err(|error| {
            span.record("error.type", error.code().map_or("connection", SqlState::code));
            // The next transaction on this connection prepares anew; this one is lost.
            if error::is_outdated_plan(&error) {
                self.connection.forget_statements();
            }
            servers.failed(&self.primary.server, error)
        })?;
        self.poisoned = false;
        Ok(value)
    }
}
