//! The exclusive lane: pooled connections with one user at a time, for transactions, COPY and slow statements.

use crate::connection::Connection;
use crate::connector::{Access, Connector, Lane};
use crate::error::Error;
use crate::lane::Reaper;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleResult, TimeoutType, Timeouts};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// How a pooled connection rests: only what says so by itself can write on it, so that what stands behind a BEGIN
/// that failed cannot.
pub(crate) const READ_ONLY: &str = "set default_transaction_read_only = on";
/// Opens a connection to single statements that write, until it rests again.
pub(crate) const READ_WRITE: &str = "set default_transaction_read_only = off";

#[derive(Debug)]
pub(crate) struct ExclusiveLane {
    pool: Pool<Opener>,
    connections_max: usize,
    reaper: Reaper,
}

/// What the pool opens connections with.
#[derive(Debug)]
pub(crate) struct Opener {
    connector: Arc<Connector>,
    access: Access,
}

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        self.connector.connect(self.access, Lane::Exclusive).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        if connection.is_closed() { Err(managed::RecycleError::message("closed")) } else { Ok(()) }
    }
}

impl ExclusiveLane {
    pub(crate) fn new(
        connector: Arc<Connector>,
        access: Access,
        connections_max: usize,
        reaper: Reaper,
    ) -> Self {
        let pool = Pool::builder(Opener { connector, access })
            .max_size(connections_max)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime has all that its timeouts need");
        Self { pool, connections_max, reaper }
    }

    /// A connection, as soon as one is free within `patience`.
    pub(crate) async fn acquire(&self, patience: Duration) -> Result<Exclusive, Error> {
        let timeouts = Timeouts { wait: Some(patience), create: Some(patience), recycle: None };
        match self.pool.timeout_get(&timeouts).await {
            Ok(object) => {
                object.take_wait_was_cut();
                Ok(Exclusive { object: Some(object), reaper: self.reaper.clone(), remains: Remains::Nothing })
            }
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Error::Exhausted(self.connections_max)),
            Err(_) => Err(Error::Timeout),
        }
    }
}

/// A connection of one's own; back in the pool when dropped, once the server is ready for the next statement. If a
/// call was dropped half-way, its statement is cancelled.
///
/// It derefs to [`Connection`] and by that to [`tokio_postgres::Client`]. Statements prepared by
/// [`Connection::prepare_cached`] stay prepared for the next user.
#[derive(Debug)]
pub struct Exclusive {
    object: Option<Object<Opener>>,
    reaper: Reaper,
    remains: Remains,
}

/// What its user leaves on a connection when it is dropped now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Nothing.
    Nothing,
    /// Not known: it was used through [`tokio_postgres::Client`], and a call may have been dropped half-way.
    Unknown,
    /// An open transaction.
    Transaction,
    /// A statement that runs: nobody waits for it, so it is cancelled.
    Statement,
    /// A COMMIT that runs. It is never cancelled: in its wait for the standby it would return with a mere warning.
    Commit,
}

impl Exclusive {
    /// Opens it to single statements that write. They stand behind this in the line, and could write nothing if it
    /// failed; so nobody waits for its answer.
    pub(crate) async fn open_to_writes(&mut self) {
        self.leaves(Remains::Unknown);
        // A connection that is gone says so to the first statement too.
        let _ = self.simple_query_raw(READ_WRITE).await;
    }

    /// Closes it, which makes room for another in the pool at once; the server rolls back what was open.
    pub(crate) fn close(&mut self) {
        self.object.take().map(Object::take);
    }

    pub(crate) fn was_closed(&self) -> bool {
        self.object.is_none()
    }

    /// Notes what a drop from here on would leave behind.
    pub(crate) fn leaves(&mut self, remains: Remains) {
        self.remains = remains;
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let (Some(object), true) = (self.object.take(), self.remains != Remains::Nothing) {
            self.reaper.bury(object, self.remains);
        }
    }
}

impl Deref for Exclusive {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.object.as_deref().expect("an exclusive connection is held until it is dropped")
    }
}

impl DerefMut for Exclusive {
    fn deref_mut(&mut self) -> &mut Connection {
        self.object.as_deref_mut().expect("an exclusive connection is held until it is dropped")
    }
}
