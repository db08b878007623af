//! One flight: a read with positions before and behind it in the same pipeline, in the time of one round trip.

use crate::connection::{Connection, Params};
use crate::error::Error;
use crate::sql;
use futures_util::future::{OptionFuture, join3};
use onefold_core::Lsn;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

/// Which position of a server a flight asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The primary's flush LSN.
    Flushed,
    /// A replica's replay LSN.
    Replayed,
}

/// A read and the positions wanted around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight<'a> {
    pub(crate) sql: &'a str,
    pub(crate) params: Params<'a>,
    pub(crate) position: Position,
    pub(crate) before: bool,
    pub(crate) after: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Landed {
    /// A lower bound of what the read has seen. It was asked in a statement of its own: within the read's
    /// snapshot it would be newer than what that snapshot shows.
    pub(crate) before: Option<Lsn>,
    pub(crate) rows: Vec<Row>,
    /// An upper bound of what the read has seen.
    pub(crate) after: Option<Lsn>,
}

impl Flight<'_> {
    pub(crate) async fn fly(self, connection: &Connection) -> Result<Landed, Error> {
        let read = connection.prepare_cached(self.sql).await?;
        if !(self.before || self.after) {
            let rows = connection.query(&read, self.params).await?;
            return Ok(Landed { before: None, rows, after: None });
        }
        let lower = connection.prepare_cached(self.position.lower()).await?;
        let upper = connection.prepare_cached(self.position.upper()).await?;
        // Each is sent when first polled, and `join3` polls in order.
        let before = OptionFuture::from(self.before.then(|| connection.query_one(&lower, &[])));
        let after = OptionFuture::from(self.after.then(|| connection.query_one(&upper, &[])));
        let (before, rows, after) = join3(before, connection.query(&read, self.params), after).await;
        let lsn = |row: Option<Result<Row, tokio_postgres::Error>>| {
            row.transpose()?.map(|row| lsn_of(&row)).transpose()
        };
        Ok(Landed { before: lsn(before)?, rows: rows?, after: lsn(after)? })
    }
}

impl Position {
    /// What every read behind it has seen.
    fn lower(self) -> &'static str {
        match self {
            Self::Flushed => sql::FLUSH_LSN,
            Self::Replayed => sql::REPLAY_LSN,
        }
    }

    /// What no read before it can have seen more of.
    fn upper(self) -> &'static str {
        match self {
            Self::Flushed => sql::FLUSH_LSN,
            Self::Replayed => sql::REPLAYING_LSN,
        }
    }
}

/// Reads the one LSN of a row.
pub(crate) fn lsn_of(row: &Row) -> Result<Lsn, Error> {
    Ok(Lsn(row.try_get::<_, PgLsn>(0)?.into()))
}
