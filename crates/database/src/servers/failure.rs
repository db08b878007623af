//! What a failed call says about its server, and about the call.

use crate::error::{self, Error};
use crate::servers::{Server, Servers};
use onefold_core::Deadline;
use std::time::Duration;
use tokio_postgres::error::SqlState;

impl Servers {
    /// Runs work until it is done or nobody waits any more.
    pub(crate) async fn within<T>(
        &self,
        deadline: Option<Deadline>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match deadline.map(|deadline| deadline.remaining(self.clock().now())) {
            None => work.await,
            Some(Duration::ZERO) => Err(Error::Timeout),
            Some(remaining) => tokio::time::timeout(remaining, work).await.unwrap_or(Err(Error::Timeout)),
        }
    }

    /// Whether a read that failed so may be made once more: out of one budget for the whole node, so that servers in
    /// trouble are not asked twice for everything. A plan that a migration has outdated costs no load, and is free.
    pub(crate) fn may_retry(&self, error: &Error) -> bool {
        if matches!(error, Error::Database(error) if error::is_outdated_plan(error)) {
            return true;
        }
        let meters = self.meters();
        let reads = meters.reads_replica.get() + meters.reads_primary.get();
        let granted = self.budget.withdraw_of(reads, self.clock().now());
        if !granted {
            meters.retries_denied.inc();
        }
        granted
    }

    /// Looks at an error of a server: where it says that the server is gone or has another role, the roles are
    /// asked again at once.
    pub(crate) fn failed(&self, server: &Server, error: impl Into<Error>) -> Error {
        let error = error.into();
        let gone = match &error {
            Error::Database(error) => {
                error::is_io(error) || error.code().is_some_and(error::means_role_change)
            }
            _ => false,
        };
        if gone {
            self.suspect(server);
        }
        error
    }

    /// A server is gone or has another role, and so may others have.
    pub(crate) fn suspect(&self, server: &Server) {
        server.suspect();
        self.reckon();
        self.ask_all();
    }

    /// As [`Servers::failed`], for a transaction whose COMMIT has not been sent.
    pub(crate) fn refused_write(&self, server: &Server, error: tokio_postgres::Error) -> Error {
        match self.failed(server, error) {
            error if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => Error::Aborted,
            error => error,
        }
    }

    /// As [`Servers::failed`], for a write that had been sent whole: without Postgres' own answer nobody knows
    /// whether it was committed.
    pub(crate) fn failed_write(&self, server: &Server, error: tokio_postgres::Error) -> Error {
        let answered = error.as_db_error().is_some();
        let error = self.refused_write(server, error);
        if answered { error } else { Error::MaybeCommitted }
    }
}
