//! The database.

use super::Context;
use crate::Tx;
use crate::error::{Error, Result};
use onefold_database::{Params, Read, Reader};

/// The database, in the request's session.
#[derive(Clone)]
pub struct Db {
    context: Context,
    db: onefold_database::Db,
}

impl Db {
    pub(crate) fn new(context: Context) -> Self {
        let db = context.node.database.db(context.session.clone());
        Self { context, db }
    }

    /// Begins a transaction on the primary, which also collects side effects: see [`Tx`].
    ///
    /// Under an `Idempotency-Key` it claims the key first. If an equal request was answered already, the error
    /// that comes back ends the handler with that answer: let `?` pass it on.
    ///
    /// # Errors
    /// `Unavailable` without a primary, `Timeout` past the deadline, `InProgress` while an equal request is still
    /// at work, `Invalid` where the key was used for another request.
    pub async fn begin(&self) -> Result<Tx> {
        Tx::begin(&self.db, &self.context).await
    }

    /// Reads at a level; the client's `onefold-consistency` may weaken it, or raise it where the route
    /// [allows](crate::allow) it.
    pub fn read(&self, level: Read) -> Reader {
        self.db.read(self.context.levels.effective(level))
    }

    /// Executes one writing statement in a transaction of its own.
    ///
    /// # Errors
    /// Those of the database; `OutcomeUnknown` where the connection was lost in between.
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.db.execute(sql, params).await.map_err(Error::from)
    }
}
