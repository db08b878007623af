//! The schema, brought up to date once before the first node starts.

use crate::App;
use crate::node::schema;
use crate::topology::Topology;
use onefold_core::metrics::Metrics;
use onefold_core::process::ProcessError;
use onefold_core::{Class, Classified as _, Clock, NodeName, TaskGroup, Zone};
use onefold_database::{Config, Database, Error, MigrationSet};
use std::time::Duration;
use tokio::sync::OnceCell;

const STOP: Duration = Duration::from_secs(1);

/// Applies migrations at most once, however many nodes wait for it.
#[derive(Debug)]
pub(crate) struct Migrated {
    done: OnceCell<()>,
    config: Config,
    sets: Vec<MigrationSet>,
    name: NodeName,
    zone: Zone,
}

impl Migrated {
    pub(super) fn new(app: &App, topology: &Topology) -> Self {
        Self {
            done: OnceCell::new(),
            config: topology.database.clone(),
            sets: schema(app).to_vec(),
            name: "up".parse().expect("two letters are a name"),
            zone: topology.system.zones[0].clone(),
        }
    }

    /// Returns once the schema is up to date.
    pub(super) async fn ensure(&self) -> Result<(), ProcessError> {
        self.done.get_or_try_init(|| self.migrate()).await.copied().map_err(|error| refusal(&error))
    }

    async fn migrate(&self) -> Result<(), Error> {
        let tasks = TaskGroup::new();
        let connected =
            Database::connect(&self.config, &self.name, &self.zone, &tasks, &Metrics::new(), Clock::system())
                .await;
        let outcome = match connected {
            Ok(database) => database.migrate(&self.sets).await.map(|_| ()),
            Err(error) => Err(error),
        };
        tasks.stop(STOP).await;
        outcome
    }
}

fn refusal(error: &Error) -> ProcessError {
    match error.class() {
        Class::Transient | Class::Conflict | Class::Unknown => {
            ProcessError::NotYet(format!("migrate: {error}"))
        }
        _ => {
            let fix = "correct the migration, or give the account of database.url the rights to apply it";
            ProcessError::unusable(format!("the schema cannot be migrated: {error}"), fix)
        }
    }
}
