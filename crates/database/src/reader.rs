//! Reads at a consistency level, with a note of what they can vouch for.

use crate::connection::{Connection, Params};
use crate::database::lsn_of;
use crate::db::Db;
use crate::error::Error;
use crate::level::Read;
use crate::row::{self, FromRow};
use crate::servers::{Need, Place, Primary, Standing};
use crate::session::Position;
use crate::sql;
use futures_util::Stream;
use onefold_core::Lsn;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::Row;

/// Reads at one level. Cloning is cheap; clones share the stamp.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    wish: Wish,
    stamp: Mutex<Option<Stamp>>,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Level(Read),
    AtLeast(Lsn),
}

/// What a read can vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// A replica's replay LSN from before the read. It serves a token T if it is ≥ T.
    Replayed(Lsn),
    /// The primary's flush LSN from before the read. It serves a token T only if it is > T: two commits may share
    /// one flush, and the second may still wait, invisible, for its standby.
    Flushed(Lsn),
}

impl Stamp {
    /// Whether what was read holds everything that a session with this token must see.
    pub fn serves(self, token: Lsn) -> bool {
        match self {
            Self::Replayed(lsn) => lsn >= token,
            Self::Flushed(lsn) => lsn > token,
        }
    }

    /// The weaker of two: it vouches for what was read under either.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        if self.limit() <= other.limit() { self } else { other }
    }

    /// The lowest token that it does not serve.
    fn limit(self) -> u128 {
        match self {
            Self::Replayed(lsn) => u128::from(lsn.0) + 1,
            Self::Flushed(lsn) => u128::from(lsn.0),
        }
    }
}

impl Reader {
    pub(crate) fn at_level(db: &Db, level: Read) -> Self {
        Self::new(db, Wish::Level(level))
    }

    pub(crate) fn at_least(db: &Db, least: Lsn) -> Self {
        Self::new(db, Wish::AtLeast(least))
    }

    fn new(db: &Db, wish: Wish) -> Self {
        Self(Arc::new(Inner { db: db.clone(), wish, stamp: Mutex::new(None) }))
    }

    /// What all its reads so far can vouch for together; none before the first read.
    pub fn stamp(&self) -> Option<Stamp> {
        *self.0.stamp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows.
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

    /// The rows as a stream.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub async fn query_stream<T: FromRow>(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + use<T>, Error> {
        let rows = self.rows(sql, params).await?;
        Ok(futures_util::stream::iter(rows.into_iter().map(|row| T::from_row(&row))))
    }

    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let db = &self.0.db;
        let servers = db.database().servers_handle();
        let deadline = db.session().deadline();
        let reading = async {
            match servers.place(self.need(), deadline).await? {
                Place::Replica(server, connection, replayed) => {
                    let rows = connection.query_cached(sql, params).await;
                    let rows = rows.map_err(|error| servers.failed(&server, error))?;
                    self.note(Stamp::Replayed(replayed));
                    Ok(rows)
                }
                Place::Primary(primary) => self.on_primary(primary, sql, params).await,
            }
        };
        servers.within(deadline, reading).await
    }

    async fn on_primary(&self, primary: Primary, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let db = &self.0.db;
        let servers = db.database().servers_handle();
        let connection = primary.server.reads.connection().await?;
        let (flushed, rows) = stamped(&connection, sql, params)
            .await
            .map_err(|error| servers.failed(&primary.server, error))?;
        self.note(Stamp::Flushed(flushed));
        if servers.standing(&db.session().positions()) == Standing::Unproven {
            db.session().reissue(Position { timeline: primary.timeline, lsn: flushed });
        }
        Ok(rows)
    }

    fn need(&self) -> Need {
        let db = &self.0.db;
        let standing = || db.database().servers_handle().standing(&db.session().positions());
        let at_least = |least: Lsn| match standing() {
            Standing::Covered(lsn) => Need::Replayed(lsn.max(least)),
            Standing::Unproven => Need::Primary,
        };
        match self.0.wish {
            Wish::Level(Read::Strong) => Need::Primary,
            Wish::Level(Read::YourWrites) => at_least(Lsn::ZERO),
            Wish::Level(Read::Bounded(staleness)) => Need::Fresh(staleness),
            Wish::Level(Read::Any) => Need::Nothing,
            Wish::AtLeast(least) => at_least(least),
        }
    }

    fn note(&self, stamp: Stamp) {
        let mut kept = self.0.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(kept.map_or(stamp, |kept| kept.weaker(stamp)));
    }
}

/// The flush LSN from before a read on the primary, and the read, in one flight.
async fn stamped(connection: &Connection, sql: &str, params: Params<'_>) -> Result<(Lsn, Vec<Row>), Error> {
    let flush = connection.prepare_cached(sql::FLUSH_LSN).await?;
    let statement = connection.prepare_cached(sql).await?;
    let before = connection.query_one(&flush, &[]);
    let read = connection.query(&statement, params);
    let (before, rows) = futures_util::future::join(before, read).await;
    Ok((lsn_of(&before?)?, rows?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weaker_stamp_vouches_for_both() {
        let (replayed, flushed) = (Stamp::Replayed(Lsn(10)), Stamp::Flushed(Lsn(10)));
        assert!(replayed.serves(Lsn(10)) && !flushed.serves(Lsn(10)));
        assert_eq!(replayed.weaker(flushed), flushed);
        assert_eq!(Stamp::Flushed(Lsn(11)).weaker(replayed).limit(), 11);
        assert_eq!(Stamp::Flushed(Lsn(12)).weaker(replayed), replayed);
    }
}
