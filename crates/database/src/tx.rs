//! A transaction on the primary that also collects effects.

use crate::connection::Params;
use crate::db::Db;
use crate::effect::Effect;
use crate::error::Error;
use crate::idempotency::Claim;
use crate::lane::{Exclusive, Remains};
use crate::opening;
use crate::request::{Request, Rows, Streamed, Text, Touched};
use crate::row::{self, FromRow};
use crate::servers::{Primary, Servers};
use futures_util::{Stream, StreamExt as _, stream};
use std::borrow::Cow;
use std::sync::Arc;
use std::task::Poll;
use tokio_postgres::Row;
use tracing::Instrument as _;

/// How often the first flight is flown again while its servers die. A killed postmaster leaves backends behind that die
/// one by one, and a pool may hold connections to several.
const FLIGHTS_MAX: usize = 10;

/// A transaction. The server begins it with its first statement, and its `now()` is that moment.
///
/// A database error poisons it: everything after fails with [`Error::Aborted`], as does the commit, until a
/// savepoint from before the error is rolled back to. Dropped without a commit it is rolled back, and so are
/// its effects. A dropped call leaves it poisoned, since nobody knows what the statement did.
pub struct Tx {
    pub(crate) connection: Exclusive,
    pub(crate) primary: Primary,
    pub(crate) db: Db,
    pub(crate) poisoned: bool,
    /// What begins it; none once that has been sent.
    prelude: Option<Cow<'static, str>>,
    /// A stream was left before its end, so that an error in its rest may have aborted the transaction unseen.
    pub(crate) is_unread: bool,
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

/// A transaction that `prelude` begins, once there is a first statement to go with it.
pub(crate) async fn begin(db: &Db, prelude: impl Into<Cow<'static, str>>) -> Result<Tx, Error> {
    let servers = db.database().servers_handle();
    let (connection, primary) = opening::acquire(servers, db.session().deadline()).await?;
    Ok(Tx {
        connection,
        primary,
        db: db.clone(),
        poisoned: false,
        prelude: Some(prelude.into()),
        is_unread: false,
        savepoints: 0,
        effects: Vec::new(),
        claim: None,
        answer: None,
    })
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
        let rows = self.run(sql, Streamed(sql, params)).await?;
        let (poisoned, is_unread) = (&mut self.poisoned, &mut self.is_unread);
        *is_unread = true;
        let values = rows.map(move |row| {
            let row = row.inspect_err(|_| *poisoned = true)?;
            T::from_row(&row)
        });
        let end = stream::poll_fn(move |_| {
            *is_unread = false;
            Poll::Ready(None)
        });
        Ok(values.chain(end))
    }

    /// Runs a statement and answers how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        self.run(sql, Touched(sql, params)).await
    }

    /// Marks a place to which [`Tx::roll_back_to`] can return.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        let savepoint = Savepoint { name: self.savepoints, effects: self.effects.len() };
        self.savepoints += 1;
        let text = format!("savepoint onefold_{}", savepoint.name);
        self.run(&text, Text(&text)).await?;
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
        self.run(&text, Text(&text)).await
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
        if self.prelude.is_some() || self.connection.was_closed() {
            return Ok(());
        }
        self.connection.batch_execute("rollback").await?;
        self.connection.leaves(Remains::Nothing);
        Ok(())
    }

    pub(crate) async fn rows(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.run(sql, Rows(sql, params)).await
    }

    /// Whether the server knows of it yet.
    pub(crate) fn is_begun(&self) -> bool {
        self.prelude.is_none()
    }

    /// Runs one statement; an error or a dropped call poisons the transaction. The first may be run a second time,
    /// on another connection.
    pub(crate) async fn run<R: Request>(&mut self, sql: &str, request: R) -> Result<R::Answer, Error> {
        if self.poisoned {
            return Err(Error::Aborted);
        }
        self.poisoned = true;
        let servers = Arc::clone(self.db.database().servers_handle());
        let deadline = self.db.session().deadline();
        let span = tracing::info_span!(
            "db.query",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.query.text = sql,
            onefold.server = self.primary.server.name.as_str(),
            onefold.server.role = "primary",
            error.type = tracing::field::Empty,
        );
        let sent = servers.clock().now();
        let running = async {
            let Some(prelude) = self.prelude.take() else {
                return self.next(&servers, &request).await;
            };
            match self.first(&servers, &prelude, &request).await {
                // Boxed: it is rare, and would make every statement's future twice as large.
                Err(error) if opening::is_worth_another(&error) => {
                    Box::pin(self.first_elsewhere(&servers, &prelude, &request, error)).await
                }
                outcome => outcome,
            }
        };
        let outcome = servers.within(deadline, running).instrument(span.clone()).await;
        let took = servers.clock().now().saturating_duration_since(sent);
        let server = &self.primary.server;
        server.served.as_primary(servers.meters(), &server.name).count(took, &outcome);
        let value = outcome.inspect_err(|error| {
            span.record("error.type", error.name());
        })?;
        (self.poisoned, self.is_unread) = (false, false);
        Ok(value)
    }

    async fn first<R: Request>(
        &mut self,
        servers: &Servers,
        prelude: &str,
        request: &R,
    ) -> Result<R::Answer, Error> {
        self.connection.leaves(Remains::Statement);
        let connection = &self.connection;
        let outcome = opening::fly(servers, &self.primary, connection, prelude, request).await;
        self.connection.leaves(Remains::Transaction);
        outcome
    }

    /// The first flight failed since its server is gone, and nothing of it was committed: it is flown again, as often as a
    /// dying server has connections left that fail too.
    async fn first_elsewhere<R: Request>(
        &mut self,
        servers: &Servers,
        prelude: &str,
        request: &R,
        mut error: Error,
    ) -> Result<R::Answer, Error> {
        let deadline = self.db.session().deadline();
        for _ in 0..FLIGHTS_MAX {
            // Before another is waited for: the pool may have no more than this.
            self.connection.close();
            (self.connection, self.primary) = opening::acquire(servers, deadline).await?;
            error = match self.first(servers, prelude, request).await {
                Err(error) if opening::is_worth_another(&error) => error,
                outcome => return outcome,
            };
        }
        Err(error)
    }

    async fn next<R: Request>(&mut self, servers: &Servers, request: &R) -> Result<R::Answer, Error> {
        self.connection.leaves(Remains::Statement);
        let outcome = request.send(&self.connection).await;
        self.connection.leaves(Remains::Transaction);
        outcome.map_err(|error| opening::refused(servers, &self.primary, &self.connection, error))
    }
}
