//! The engine of the shared level that a configuration names.

use crate::config::{Config, Engine};
use crate::l2::L2;
use crate::postgres::Postgres;
use onefold_core::TaskGroup;
use onefold_core::topology::Faults;
use onefold_database::Database;
use std::sync::Arc;

/// Starts it, with its tasks in `tasks`; none where each node is to cache for itself.
///
/// # Errors
/// What of the configuration cannot be used.
#[cfg_attr(
    not(feature = "redis"),
    expect(clippy::unnecessary_wraps, unused_variables, reason = "with the feature it connects")
)]
pub(crate) fn start(
    config: &Config,
    database: &Database,
    tasks: &TaskGroup,
) -> Result<Option<Arc<dyn L2>>, Faults> {
    Ok(match config.engine {
        Engine::Postgres => Some(Arc::new(Postgres::new(database.clone()))),
        #[cfg(feature = "redis")]
        Engine::Redis => Some(Arc::new(crate::redis::Redis::start(config, database.clone(), tasks)?)),
        // Refused by `Config::validate`.
        #[cfg(not(feature = "redis"))]
        Engine::Redis => None,
        Engine::None => None,
    })
}
