//! The shared lane: a few connections on which the single statements of many tasks stand in line, pipelined.
//!
//! It is opened at first use and again after a loss. A statement dropped here is not cancelled: the cancel would
//! hit whichever statement the server had come to.

use crate::connection::{Connection, Params};
use crate::connector::{Access, Connector, Lane};
use crate::error::Error;
use crate::row::{self, FromRow};
use arc_swap::ArcSwapOption;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_postgres::Row;

#[derive(Debug)]
pub(crate) struct SharedLane {
    connector: Arc<Connector>,
    access: Access,
    slots: Box<[Slot]>,
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Slot {
    connection: ArcSwapOption<Connection>,
    opening: tokio::sync::Mutex<()>,
}

impl SharedLane {
    pub(crate) fn new(connector: Arc<Connector>, access: Access, connections: u8) -> Self {
        let slots = (0..connections.max(1)).map(|_| Slot::default()).collect();
        Self { connector, access, slots, next: AtomicUsize::new(0) }
    }

    /// One of the connections, in turn. While somebody opens it the others wait, but no longer than they would for a
    /// connection of their own: behind a server that hangs, one after the other would try.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()];
        if let Some(connection) = slot.open() {
            return Ok(connection);
        }
        let turn = tokio::time::timeout(self.connector.connect_timeout(), slot.opening.lock()).await;
        let _opening = turn.map_err(|_| Error::Timeout)?;
        if let Some(connection) = slot.open() {
            return Ok(connection);
        }
        let connection = Arc::new(self.connector.connect(self.access, Lane::Shared).await?);
        slot.connection.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }
}

impl Slot {
    fn open(&self) -> Option<Arc<Connection>> {
        self.connection.load_full().filter(|connection| !connection.is_closed())
    }
}

/// A pipelined connection to the primary that others use at the same time: for single, quick statements, and
/// for writes that do not wait for a standby (`synchronous_commit = off`), or all behind them wait too.
///
/// A dropped call is not cancelled; its statement still runs.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Connection>);

impl Shared {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// All rows.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn query(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        Ok(self.0.query_cached(sql, params).await?)
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// [`Error::ManyRows`], [`Error::Database`].
    pub async fn query_opt<T: FromRow>(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Option<T>, Error> {
        row::at_most_one(&self.query(sql, params).await?)
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::ManyRows`], [`Error::Database`].
    pub async fn query_one<T: FromRow>(&self, sql: &'static str, params: Params<'_>) -> Result<T, Error> {
        row::exactly_one(&self.query(sql, params).await?)
    }

    /// How many rows the statement touched.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn execute(&self, sql: &'static str, params: Params<'_>) -> Result<u64, Error> {
        Ok(self.0.execute_cached(sql, params).await?)
    }
}

impl Deref for Shared {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}
