//! Transactions that end by themselves, whoever stops waiting for them.
//!
//! A COMMIT that waits for a standby cannot be taken back. The caller's deadline passes; the transaction goes on in
//! a task until its answer is here, and only then its connection is anybody else's. There are few of them at once,
//! so that a service whose standbys are away does not take the application's connections.

use onefold_core::TaskGroup;
use onefold_database::{Database, Error, Exclusive};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio_postgres::Transaction;

/// Writers stand in line behind the one counter row anyway.
const AT_ONCE_MAX: usize = 2;

/// How long the commit waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// As the server does by default: an acknowledged write survives the loss of a machine.
    Everywhere,
    /// For this server's disk: it survives a restart, and no standby is waited for.
    Here,
}

#[derive(Clone, Debug)]
pub(super) struct Transactions {
    pub(super) database: Database,
    timeout: Duration,
    tasks: TaskGroup,
    permits: Arc<Semaphore>,
}

impl Transactions {
    pub(super) fn new(database: Database, timeout: Duration, tasks: TaskGroup) -> Self {
        Self { database, timeout, tasks, permits: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Waits for an answer as long as a call may take.
    pub(super) async fn bounded<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.timeout, call).await.unwrap_or(Err(Error::Timeout))
    }

    /// Runs one on a connection of its own. Once it has begun, an answer that does not come in time is an unknown
    /// outcome.
    pub(super) async fn run<T, F>(
        &self,
        transaction: impl FnOnce(Exclusive) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let beginning = async {
            // The semaphore is never closed.
            let permit = self.permits.clone().acquire_owned().await.map_err(|_| Error::Timeout)?;
            Ok((permit, self.database.exclusive().await?))
        };
        let (permit, connection) = self.bounded(beginning).await?;
        let (sender, receiver) = oneshot::channel();
        self.tasks.spawn("coordination.transaction", async move {
            let answer = transaction(connection).await;
            drop(permit);
            // Nobody may wait any more.
            let _ = sender.send(answer);
        });
        match tokio::time::timeout(self.timeout, receiver).await {
            Ok(Ok(answer)) => answer,
            // It goes on without us, or was dropped at the node's end.
            Err(_) | Ok(Err(_)) => Err(Error::MaybeCommitted),
        }
    }
}

/// Commits; an answer that was lost after the COMMIT was sent says so.
pub(super) async fn commit(tx: Transaction<'_>, durability: Durability) -> Result<(), Error> {
    if durability == Durability::Here {
        tx.batch_execute("set local synchronous_commit = 'local'").await?;
    }
    tx.commit().await.map_err(|error| match error.as_db_error() {
        Some(_) => error.into(),
        None => Error::MaybeCommitted,
    })
}

/// Bounds the waits for locks, in Postgres' spelling of durations.
pub(super) async fn bound_lock_waits(tx: &Transaction<'_>, wait: &str) -> Result<(), Error> {
    Ok(tx.batch_execute(&format!("set local lock_timeout = '{wait}'")).await?)
}
