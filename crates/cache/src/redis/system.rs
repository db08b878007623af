//! Whose keys these are: two systems may share a Redis, and the log positions of one mean nothing in the other.

use crate::l2::Error;
use onefold_database::Database;
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) struct System {
    database: Database,
    prefix: String,
    name: OnceLock<String>,
}

/// How much of the system's id stands in each key: enough to tell some thousand systems apart.
const ID_CHARS: usize = 12;

impl System {
    pub(crate) fn new(database: Database, prefix: String) -> Self {
        Self { database, prefix, name: OnceLock::new() }
    }

    /// What all its keys begin with.
    ///
    /// # Errors
    /// Before the database has been migrated.
    pub(crate) fn name(&self) -> Result<&str, Error> {
        if let Some(name) = self.name.get() {
            return Ok(name);
        }
        let id = self.database.keys()?.cluster().simple().to_string();
        Ok(self.name.get_or_init(|| format!("{}:{}", self.prefix, &id[..ID_CHARS])))
    }
}
