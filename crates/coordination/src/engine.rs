//! The engine that the configuration names.

use crate::config::{Config, Engine};
use crate::coordination::Node;
use crate::postgres::Postgres;
use crate::store::Store;
use onefold_core::topology::Faults;
use onefold_database::Database;
use std::sync::Arc;

/// Opens it; nothing is connected yet.
///
/// # Errors
/// Where its configuration cannot be used.
pub(crate) fn open(database: &Database, config: &Config, node: &Node) -> Result<Arc<dyn Store>, Faults> {
    match config.engine {
        Engine::Postgres => Ok(Arc::new(Postgres::new(database.clone(), config.timeout, node.tasks.clone()))),
        #[cfg(feature = "etcd")]
        Engine::Etcd => {
            let (tasks, clock) = (node.tasks.clone(), node.clock.clone());
            Ok(Arc::new(crate::etcd::Etcd::new(config, database.clone(), tasks, clock)?))
        }
        // The configuration says what to do about it.
        #[cfg(not(feature = "etcd"))]
        Engine::Etcd => Err(config.validate().err().unwrap_or_default()),
    }
}
