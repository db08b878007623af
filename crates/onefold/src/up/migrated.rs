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
/// How long one try looks for the primary at most: a person waits, or the supervisor tries again.
const CONNECT_MAX: Duration = Duration::from_secs(10);

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
        let mut config = topology.database.clone();
        config.connect_timeout = config.connect_timeout.min(CONNECT_MAX);
        Self {
            done: OnceCell::new(),
            config,
            sets: schema(app).to_vec(),
            name: "up".parse().expect("two letters are a name"),
            zone: topology.system.zones[0].clone(),
        }
    }

    /// Returns once the schema is up to date.
    pub(super) async fn ensure(&self) -> Result<(), ProcessError> {
        self.done.get_or_try_init(|| self.migrate()).await.copied().map_err(|error| self.refusal(&error))
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

    fn refusal(&self, error: &Error) -> ProcessError {
        let is_own = self.config.url.is_none();
        match (error, error.class()) {
            (Error::Refused(_), _) => {
                let fix = "correct the account and the database's name in what database.url refers to";
                ProcessError::unusable(format!("database.url: {error}"), fix)
            }
            (_, Class::Transient | Class::Conflict | Class::Unknown) if is_own => {
                ProcessError::NotYet(format!("migrate: {error}"))
            }
            (_, Class::Transient | Class::Conflict | Class::Unknown) => {
                let fix = "start the database, or have database.url refer to one that runs";
                ProcessError::NotYet(format!("database.url: {error}; {fix}"))
            }
            _ => {
                let fix = "correct the migration, or give the account of database.url the rights to apply it";
                ProcessError::unusable(format!("the schema cannot be migrated: {error}"), fix)
            }
        }
    }
}
