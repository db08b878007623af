//! The engine Postgres: four small tables in the primary database.
//!
//! Revisions come from one row that every writer updates first, so that they commit in their order. Leases run on
//! the primary's clock. Nothing notifies inside a transaction: hints leave after the commit, and wait for nobody.

mod kv;
mod lease;
mod sql;
mod transaction;

use crate::error::Error;
use crate::postgres::transaction::Transactions;
use crate::store::{
    Acquired, Answer, Capabilities, Changes, Grant, Hint, Listing, Outcome, Past, Position, Report, Store,
    Txn,
};
use futures_util::stream::{BoxStream, StreamExt as _};
use onefold_core::{Class, Classified as _, TaskGroup};
use onefold_database::{Database, Heard, Migration, MigrationSet, Tx};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// The tables of this engine, and the one that fences need on every engine.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "coordination",
    migrations: &[
        Migration { name: "0001_coordination", sql: include_str!("migrations/0001_coordination.sql") },
        Migration { name: "0002_keep_order", sql: include_str!("migrations/0002_keep_order.sql") },
        Migration { name: "0003_fence", sql: include_str!("migrations/0003_fence.sql") },
    ],
};

const CHANNEL: &str = "onefold_coordination";
const CHANGED: &str = "changed";

/// The configuration service in the primary database. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Postgres {
    database: Database,
    transactions: Transactions,
}

impl Postgres {
    /// The service of this database; a call fails after `timeout`, and what it began ends among the `tasks`.
    pub fn new(database: Database, timeout: Duration, tasks: TaskGroup) -> Self {
        Self { transactions: Transactions::new(database.clone(), timeout, tasks), database }
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, onefold_database::Error>>,
    ) -> Result<T, Error> {
        Ok(self.transactions.bounded(call).await?)
    }

    /// Hints everybody, after a commit. Not by the node's notifier: a node that stops has a seat to hand over, and
    /// its notifier may have stopped before.
    async fn hint(&self, payload: &str) {
        let hinting = async { self.database.shared().await?.query(sql::HINT, &[&CHANNEL, &payload]).await };
        if let Err(error) = self.within(hinting).await {
            tracing::debug!(%error, "hint");
        }
    }
}

impl Store for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "postgres", fence_excludes: true, ttl_min: Duration::ZERO }
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Listing> {
        Box::pin(self.within(kv::list(&self.database, prefix)))
    }

    fn changes<'a>(&'a self, prefix: &'a str, after: Position) -> Answer<'a, Changes> {
        Box::pin(self.within(kv::changes(&self.database, prefix, after)))
    }

    fn commit<'a>(&'a self, txn: &'a Txn) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let (outcome, changed) = kv::commit(&self.transactions, txn.clone()).await?;
            if changed {
                self.hint(CHANGED).await;
            }
            Ok(outcome)
        })
    }

    fn history<'a>(&'a self, key: &'a str, limit: u32) -> Answer<'a, Vec<Past>> {
        Box::pin(self.within(kv::history(&self.database, key, limit)))
    }

    fn latest<'a>(&'a self, keys: &'a [String]) -> Answer<'a, HashMap<String, Past>> {
        Box::pin(self.within(kv::latest(&self.database, keys)))
    }

    fn compact(&self, revision: i64, past: u32) -> Answer<'_, ()> {
        Box::pin(async move { Ok(kv::compact(&self.transactions, revision, past).await?) })
    }

    fn acquire<'a>(&'a self, name: &'a str, holder: &'a str, ttl: Duration) -> Answer<'a, Acquired> {
        Box::pin(async move { Ok(lease::acquire(&self.transactions, name, holder, ttl).await?) })
    }

    fn renew<'a>(&'a self, grant: &'a Grant, ttl: Duration, report: i64) -> Answer<'a, bool> {
        Box::pin(self.within(lease::renew(&self.database, grant, ttl, report)))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> Answer<'a, ()> {
        Box::pin(async move {
            self.within(lease::release(&self.database, grant)).await?;
            self.hint(&format!("released {}", grant.name)).await;
            Ok(())
        })
    }

    fn reap<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let ended = lease::reap(&self.transactions, prefix).await?;
            if ended > 0 {
                self.hint(CHANGED).await;
            }
            Ok(ended)
        })
    }

    fn reports<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Report>> {
        Box::pin(self.within(lease::reports(&self.database, prefix)))
    }

    fn fence<'a>(&'a self, tx: &'a mut Tx, grant: &'a Grant) -> Answer<'a, ()> {
        Box::pin(lease::fence(tx, grant))
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        let heard = self.database.listen(CHANNEL);
        let hints = futures_util::stream::unfold(heard, |mut heard| async {
            let hint = match heard.recv().await {
                Some(Heard::Payload(payload)) => match payload.strip_prefix("released ") {
                    Some(name) => Hint::Released(name.to_owned()),
                    None => Hint::Changed,
                },
                Some(_) => Hint::Gap,
                // The database's tasks have stopped: nothing will be heard any more.
                None => std::future::pending().await,
            };
            Some((hint, heard))
        });
        hints.boxed()
    }
}

impl From<onefold_database::Error> for Error {
    fn from(error: onefold_database::Error) -> Self {
        // A standby answers so where it is asked what only a primary knows: the roles are changing.
        let not_primary = error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
        let text = error.to_string();
        match error.class() {
            Class::Unknown => Self::Unknown(text),
            Class::Transient | Class::Conflict => Self::Away(text),
            _ if not_primary => Self::Away(text),
            _ => Self::Engine(text),
        }
    }
}
