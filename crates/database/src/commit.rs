//! The end of a transaction: outbox rows, COMMIT and position in one flight, and then its effects.

use crate::connection::{Connection, Params};
use crate::effect::{Effect, OutboxRecord};
use crate::error::Error;
use crate::idempotency;
use crate::lane::{Remains, lsn_of};
use crate::outbox;
use crate::row;
use crate::session::Position;
use crate::sql;
use crate::token::Token;
use crate::tx::Tx;
use futures_util::future::{join, join_all, join3, maybe_done};
use onefold_core::Lsn;
use std::pin::pin;
use std::time::Duration;
use tokio_postgres::{Row, Statement};

/// How long a commit waits for its effects to be in force before it answers without their confirmation.
pub const EFFECTS_MAX: Duration = Duration::from_millis(50);

/// What a commit came to.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The position that covers it; the session covers it already.
    pub token: Token,
    /// Whether all effects said that they are in force.
    pub confirmed: bool,
}

impl Tx {
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
        idempotency::keep_answer(&mut self, &records).await?;
        let (lsn, rows) = self.timed_flight(&records).await?;
        let confirmed = self.settle(lsn).await;
        let database = self.db.database();
        if confirmed && !rows.is_empty() {
            database.acknowledger().confirmed(rows);
        }
        let position = Position { timeline: self.primary.timeline, lsn };
        let token = database.cover(self.db.session(), position, confirmed)?;
        Ok(Committed { token, confirmed })
    }

    /// Commits rows that another's effects left, of which nobody here knows whether they are in force.
    pub(crate) async fn commit_unconfirmed(mut self, unconfirmed: bool) -> Result<Committed, Error> {
        let (lsn, _) = self.timed_flight(&[]).await?;
        let position = Position { timeline: self.primary.timeline, lsn };
        let token = self.db.database().cover(self.db.session(), position, !unconfirmed)?;
        Ok(Committed { token, confirmed: !unconfirmed })
    }

    async fn timed_flight(&mut self, records: &[OutboxRecord]) -> Result<(Lsn, Vec<i64>), Error> {
        let servers = std::sync::Arc::clone(self.db.database().servers_handle());
        let span = tracing::info_span!(
            "db.query",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.query.text = "commit",
            onefold.server = self.primary.server.name.as_str(),
            onefold.server.role = "primary",
            error.type = tracing::field::Empty,
        );
        let sent = servers.clock().now();
        let outcome = tracing::Instrument::instrument(self.fly(records), span.clone()).await;
        if let Err(error) = &outcome {
            span.record("error.type", error.name());
        }
        let took = servers.clock().now().saturating_duration_since(sent);
        servers.meters().commit_seconds.observe(took.as_secs_f64());
        let server = &self.primary.server;
        server.served.as_primary(servers.meters(), &server.name).count(took, &outcome);
        if matches!(outcome, Err(Error::MaybeCommitted)) {
            servers.meters().maybe_committed.inc();
        }
        outcome
    }

    /// Outbox rows, COMMIT and position in one flight; answers the position and the rows' ids.
    async fn fly(&mut self, records: &[OutboxRecord]) -> Result<(Lsn, Vec<i64>), Error> {
        if !self.is_begun() {
            Box::pin(self.execute(sql::ALIVE, &[])).await?;
        }
        let servers = self.db.database().servers_handle();
        // Every answer has come and none was an error, so that the server cannot have aborted; but for the rest of
        // a stream that was left.
        let before = match records {
            [] => self.is_unread.then_some(sql::ALIVE),
            _ => Some(sql::OUTBOX_INSERT),
        };
        // Nothing was sent that could commit yet; in an aborted transaction these fail already.
        let refused = |error| servers.refused_write(&self.primary.server, error);
        let before = match before {
            Some(text) => Some(self.connection.prepare_cached(text).await.map_err(refused)?),
            None => None,
        };
        let flush = self.connection.prepare_cached(sql::FLUSH_LSN).await.map_err(refused)?;
        let subjects: Vec<&str> = records.iter().map(|record| record.subject).collect();
        let payloads: Vec<&[u8]> = records.iter().map(|record| record.payload.as_slice()).collect();
        let headers = outbox::headers();
        let all: Params<'_> = &[&subjects, &payloads, &headers];
        let params = if records.is_empty() { &[] } else { all };
        let before = before.as_ref().map(|statement| (statement, params));

        servers.may_commit(&self.primary)?;
        self.connection.leaves(Remains::Commit);
        // Boxed: within its deadline it would stand twice in the future of every commit.
        let flight = Box::pin(flight(&self.connection, before, &flush));
        // Not awaited to the end, it is left to run: the reaper waits for it and cancels nothing.
        let Ok(landed) = servers.within(self.db.session().deadline(), async { Ok(flight.await) }).await
        else {
            return Err(Error::MaybeCommitted);
        };
        let failed = |error| servers.failed_write(&self.primary.server, error);
        let rows = landed.before.map_err(failed)?;
        let (commit, flushed) = landed.rest.ok_or(Error::Aborted)?;
        commit.map_err(failed)?;
        let wait_was_cut = self.connection.take_wait_was_cut();
        let lsn = lsn_of(&flushed.map_err(|_| Error::MaybeCommitted)?)?;
        self.connection.leaves(Remains::Nothing);
        if wait_was_cut {
            return Err(Error::MaybeCommitted);
        }
        let ids = if records.is_empty() { Vec::new() } else { row::all(&rows)? };
        Ok((lsn, ids))
    }

    /// Has all effects happen at once; answers whether all confirmed in time.
    async fn settle(&mut self, at: Lsn) -> bool {
        if self.effects.is_empty() {
            return true;
        }
        let mut all = join_all(self.effects.drain(..).map(|effect: Box<dyn Effect>| effect.committed(at)));
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

type Outcome<T> = Result<T, tokio_postgres::Error>;

/// The answers of a commit's flight.
struct Landed {
    /// Of the statement before the COMMIT, if there was one. It fails in an aborted transaction: Postgres answers a
    /// COMMIT there with ROLLBACK and no error, and the client library does not show which.
    before: Outcome<Vec<Row>>,
    /// Of the COMMIT and of the position after it; none where they were not sent.
    rest: Option<(Outcome<()>, Outcome<Row>)>,
}

async fn flight(
    connection: &Connection,
    before: Option<(&Statement, Params<'_>)>,
    flush: &Statement,
) -> Landed {
    let commit = connection.batch_execute("commit");
    let flushed = connection.query_one(flush, &[]);
    let Some((statement, params)) = before else {
        return Landed { before: Ok(Vec::new()), rest: Some(join(commit, flushed).await) };
    };
    let mut before = pin!(maybe_done(connection.query(statement, params)));
    // What fails before it is sent must keep the COMMIT from being sent.
    let _ = futures_util::poll!(before.as_mut());
    if matches!(before.as_mut().output_mut(), Some(Err(_))) {
        let unsent = before.take_output().unwrap_or_else(|| Ok(Vec::new()));
        return Landed { before: unsent, rest: None };
    }
    let ((), commit, flushed) = join3(before.as_mut(), commit, flushed).await;
    Landed { before: before.take_output().unwrap_or_else(|| Ok(Vec::new())), rest: Some((commit, flushed)) }
}
