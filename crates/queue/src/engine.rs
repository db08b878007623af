//! The engine that a configuration names.

use crate::config::Engine;
use crate::postgres::Postgres;
use crate::{Admin, Config, Error, Store};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_database::Database;
use std::sync::Arc;

/// An engine that a node works with: its jobs, and what people ask of them.
pub struct Started {
    /// The engine.
    pub store: Arc<dyn Store>,
    /// Its ledger.
    pub admin: Admin,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Started")
    }
}

impl Config {
    /// Starts the engine for the node of this name; its tasks run in `tasks`.
    ///
    /// # Errors
    /// [`Error::Unusable`] where the engine answers and cannot be used. One that does not answer yet is waited for
    /// in the background.
    #[cfg_attr(not(feature = "nats"), expect(clippy::unused_async, reason = "with the feature it connects"))]
    pub async fn start(
        &self,
        name: &str,
        database: &Database,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Started, Error> {
        match self.engine {
            Engine::Postgres => {
                let engine = Postgres::new(database.clone(), clock);
                Ok(Started { store: Arc::new(engine.clone()), admin: Admin::new(engine) })
            }
            #[cfg(feature = "nats")]
            Engine::Nats => {
                let engine = crate::nats::Nats::connect(self, database.clone(), clock, name).await?;
                engine.start(tasks, metrics);
                Ok(Started { store: Arc::new(engine.clone()), admin: Admin::new(engine) })
            }
            #[cfg(not(feature = "nats"))]
            Engine::Nats => {
                let _ = (name, tasks, metrics);
                Err(without_nats())
            }
        }
    }

    /// What people ask of the engine, for whoever runs and relays no jobs.
    ///
    /// # Errors
    /// As [`Config::start`].
    #[cfg_attr(not(feature = "nats"), expect(clippy::unused_async, reason = "with the feature it connects"))]
    pub async fn admin(&self, name: &str, database: &Database, clock: Clock) -> Result<Admin, Error> {
        match self.engine {
            Engine::Postgres => Ok(Admin::new(Postgres::new(database.clone(), clock))),
            #[cfg(feature = "nats")]
            Engine::Nats => {
                Ok(Admin::new(crate::nats::Nats::connect(self, database.clone(), clock, name).await?))
            }
            #[cfg(not(feature = "nats"))]
            Engine::Nats => {
                let _ = name;
                Err(without_nats())
            }
        }
    }
}

/// [`Config::validate`] says so first.
#[cfg(not(feature = "nats"))]
fn without_nats() -> Error {
    Error::Unusable {
        engine: "nats",
        address: "queue.url".to_owned(),
        problem: "this binary was built without NATS".to_owned(),
        fix: "build it with the feature `nats`".to_owned(),
    }
}
