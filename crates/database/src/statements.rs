//! Prepared statements of one connection: each text is prepared once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_postgres::{Client, Error, Statement};

/// Statements kept for each connection, at most. An application has hundreds of texts; one that builds texts
/// from values must not fill the server's memory.
const STATEMENTS_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Statements(Mutex<HashMap<Box<str>, Statement>>);

impl Statements {
    /// The statement of this text. Two that ask at once may both prepare it; the second stays.
    pub(crate) async fn prepare(&self, client: &Client, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.get(sql) {
            return Ok(statement);
        }
        let statement = client.prepare(sql).await?;
        let mut kept = self.lock();
        if kept.len() >= STATEMENTS_MAX {
            kept.clear();
        }
        kept.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn get(&self, sql: &str) -> Option<Statement> {
        self.lock().get(sql).cloned()
    }

    /// Forgets all: a migration has changed what they were planned for.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
