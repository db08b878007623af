//! The database as one request or job sees it: with its session, its deadline and its levels.

use crate::connection::Params;
use crate::database::Database;
use crate::error::Error;
use crate::lane::{READ_ONLY, READ_WRITE, Remains};
use crate::level::Read;
use crate::opening;
use crate::read::Wish;
use crate::reader::Reader;
use crate::session::{Position, Session};
use crate::tx::{self, Tx};
use onefold_core::Lsn;

/// A request-scoped handle. Cloning is cheap; clones share the session.
#[derive(Clone, Debug)]
pub struct Db {
    database: Database,
    session: Session,
}

impl Db {
    pub(crate) fn new(database: Database, session: Session) -> Self {
        Self { database, session }
    }

    /// The session that this handle works in.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The node's database, for what is not bound to a request.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Begins a transaction on the primary. It takes a connection; the server hears of it with the first statement.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while no primary is known, [`Error::Exhausted`] while all connections are in use, both
    /// only after waiting as long as the deadline allows.
    pub async fn begin(&self) -> Result<Tx, Error> {
        tx::begin(self, opening::BEGIN).await
    }

    /// A reader at this level, or at the one that the session's caller asked for.
    pub fn read(&self, level: Read) -> Reader {
        Reader::new(self, Wish::Level(self.session.level().unwrap_or(level)))
    }

    /// A reader that misses nothing up to `least`, nor up to the session's own position: a replica that has
    /// replayed both, else the primary. What it reads is vouched for by [`Reader::stamp`].
    pub fn read_at_least(&self, least: Lsn) -> Reader {
        Reader::new(self, Wish::AtLeast(least))
    }

    /// Runs one writing statement as a transaction of its own and answers how many rows it touched. The session
    /// covers it.
    ///
    /// # Errors
    /// As [`Db::begin`]; [`Error::MaybeCommitted`] where the connection or the deadline ended before the answer.
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        let servers = self.database.servers_handle();
        let deadline = self.session.deadline();
        let (mut connection, primary) = opening::acquire(servers, deadline).await?;
        // Nothing that could commit has been sent.
        let refused = |error| servers.refused_write(&primary.server, error);
        let statement = connection.prepare_cached(sql).await.map_err(refused)?;
        let flush = connection.prepare_cached(crate::sql::FLUSH_LSN).await.map_err(refused)?;
        servers.may_commit(&primary)?;
        connection.leaves(Remains::Commit);
        let flight = async {
            // One flight: the connection is opened to the write and rests again after it, and the position stands
            // behind the commit in the same pipeline.
            let opened = connection.batch_execute(READ_WRITE);
            let write = connection.execute(&statement, params);
            let flushed = connection.query_one(&flush, &[]);
            let rested = connection.batch_execute(READ_ONLY);
            Ok(futures_util::future::join4(opened, write, flushed, rested).await)
        };
        let Ok((opened, written, flushed, rested)) = servers.within(deadline, flight).await else {
            return Err(Error::MaybeCommitted);
        };
        opened.map_err(|error| servers.failed_write(&primary.server, error))?;
        let written = written.map_err(|error| servers.failed_write(&primary.server, error))?;
        let flushed = flushed.map_err(|error| servers.failed_write(&primary.server, error))?;
        if connection.take_wait_was_cut() {
            return Err(Error::MaybeCommitted);
        }
        connection.leaves(if rested.is_ok() { Remains::Nothing } else { Remains::Unknown });
        let lsn = crate::lane::lsn_of(&flushed)?;
        self.database.cover(&self.session, Position { timeline: primary.timeline, lsn }, true)?;
        Ok(written)
    }
}
