//! Reads at a consistency level, with a note of what they can vouch for.

use crate::connection::Params;
use crate::db::Db;
use crate::error::Error;
use crate::read::{Errand, Found, Wish};
use crate::row::{self, FromRow};
use crate::servers::Server;
use crate::stamp::{Evidence, Shown, Stamp};
use crate::stream;
use futures_util::Stream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_postgres::Row;
use tracing::Instrument as _;

/// Reads at one level. Cloning is cheap; clones share the stamp.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    wish: Wish,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    stamp: Option<Stamp>,
    shown: Shown,
    replica: Option<Arc<Server>>,
}

impl Reader {
    pub(crate) fn new(db: &Db, wish: Wish) -> Self {
        Self(Arc::new(Inner { db: db.clone(), wish, notes: Mutex::default() }))
    }

    /// What all its reads so far can vouch for together; none before the first read.
    pub fn stamp(&self) -> Option<Stamp> {
        self.notes().stamp
    }

    /// Between which positions all that it has read so far lies; none before the first read, where a failover came
    /// in between, and where a read was not asked for it: those of [`Db::read_at_least`] always are.
    pub fn evidence(&self) -> Option<Evidence> {
        let notes = self.notes();
        match (notes.stamp, notes.shown) {
            (Some(stamp), Shown::UpTo(shown)) => Some(Evidence { stamp, shown }),
            _ => None,
        }
    }

    /// All rows.
    ///
    /// Single statements share connections, and a dropped call on those is not cancelled; a statement that takes
    /// more than 5 ms on average gets a connection of its own, and is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no server that may answer is there, [`Error::Timeout`], [`Error::Database`].
    pub async fn query<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Vec<T>, Error> {
        row::all(&self.rows(sql, params).await?)
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// [`Error::ManyRows`], and as [`Reader::query`].
    pub async fn query_opt<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Option<T>, Error> {
        row::at_most_one(&self.rows(sql, params).await?)
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::ManyRows`], and as [`Reader::query`].
    pub async fn query_one<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<T, Error> {
        row::exactly_one(&self.rows(sql, params).await?)
    }

    /// The rows as they come, on a connection of their own: for results that are too large to hold. It leaves no
    /// stamp and takes away the evidence, and is read on the primary unless the level is `any` or a replica is known
    /// to be fresh enough.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub async fn query_stream<T: FromRow>(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + use<T>, Error> {
        self.notes().shown = Shown::Unknown;
        let (rows, connection) = self.errand(sql, params).open().await?;
        Ok(stream::owned(rows, connection))
    }

    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let span = tracing::info_span!(
            "db.query",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.query.text = sql,
            onefold.consistency.asked = %self.0.wish,
            onefold.consistency.given = tracing::field::Empty,
            onefold.server = tracing::field::Empty,
            onefold.server.role = tracing::field::Empty,
            onefold.fallback.reason = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let servers = self.0.db.database().servers_handle();
        let asked = servers.clock().now();
        let found = self.errand(sql, params).run().instrument(span.clone()).await;
        self.count(&found, servers.clock().now().saturating_duration_since(asked));
        let found = found.inspect_err(|error| {
            span.record("error.type", error.name());
        })?;
        if let Some(replica) = &found.replica {
            span.record("onefold.server", replica.name.as_str());
            span.record("onefold.server.role", "replica");
            span.record("onefold.consistency.given", tracing::field::display(self.0.wish));
        } else {
            span.record("onefold.server.role", "primary");
            span.record("onefold.consistency.given", "strong");
        }
        let mut notes = self.notes();
        notes.shown = notes.shown.and(found.shown);
        notes.stamp = Some(notes.stamp.map_or(found.stamp, |stamp| stamp.weaker(found.stamp)));
        notes.replica = found.replica;
        Ok(found.rows)
    }

    /// Counts a read at the server that made it; one that failed, at the primary.
    fn count(&self, found: &Result<Found, Error>, took: Duration) {
        let servers = self.0.db.database().servers_handle();
        let replica = found.as_ref().ok().and_then(|found| found.replica.as_ref());
        let primary = || servers.known_primary().map(|primary| primary.server);
        let meters = servers.meters();
        if let Some(server) = replica {
            server.served.as_replica(meters, &server.name).count(took, found);
        } else if let Some(server) = primary() {
            server.served.as_primary(meters, &server.name).count(took, found);
        }
    }

    fn errand<'a>(&'a self, sql: &'a str, params: Params<'a>) -> Errand<'a> {
        let db = &self.0.db;
        Errand {
            servers: db.database().servers_handle(),
            session: db.session(),
            wish: self.0.wish,
            sql,
            params,
            preferred: self.notes().replica.clone(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
