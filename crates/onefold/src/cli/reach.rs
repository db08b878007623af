//! How a command reaches the tiers of a running system.

use super::Place;
use super::exit::Failure;
use crate::App;
use crate::topology::Topology;
use crate::up::EFFECTIVE;
use onefold_coordination::{Coordination, Node};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, NodeName, TaskGroup, Zone};
use onefold_database::Database;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

const STOP: Duration = Duration::from_secs(1);

/// A command's connections.
pub(super) struct Reach {
    pub(super) topology: Topology,
    pub(super) database: Database,
    pub(super) coordination: Coordination,
    pub(super) clock: Clock,
}

/// What a command cannot do without.
#[derive(Clone, Copy)]
enum Need {
    Primary,
    Nothing,
}

/// Runs a command on the system that `place` names, once its primary answers.
pub(super) fn with<T, F>(app: &App, place: &Place, command: impl FnOnce(Reach) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    run(app, place, Need::Primary, command)
}

/// The same for a command that has something to say of a system whose primary is away.
pub(super) fn with_or_without_primary<T, F>(
    app: &App,
    place: &Place,
    command: impl FnOnce(Reach) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    run(app, place, Need::Nothing, command)
}

fn run<T, F>(app: &App, place: &Place, need: Need, command: impl FnOnce(Reach) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let topology = Topology::load(Some(&topology_file(place)?))?;
    super::runtime()?.block_on(async {
        let tasks = TaskGroup::new();
        let outcome = match Reach::connect(app, topology, need, &tasks).await {
            Ok(reach) => command(reach).await,
            Err(failure) => Err(failure),
        };
        tasks.stop(STOP).await;
        outcome
    })
}

/// The file that a command reads: the one that is named, or what `up` wrote for its nodes.
pub(super) fn topology_file(place: &Place) -> Result<PathBuf, Failure> {
    if let Some(topology) = &place.topology {
        return Ok(topology.clone());
    }
    let effective = place.state.join(EFFECTIVE);
    let exists = effective.try_exists().map_err(|error| {
        let state = place.state.display();
        Failure::Usage(format!("{state} cannot be read ({error}); run this under the account that ran `up`"))
    })?;
    if exists {
        return Ok(effective);
    }
    Err(Failure::Usage(format!(
        "no system was started on {}; start it with `up`, or name a system with --topology or --state",
        place.state.display()
    )))
}

impl Reach {
    async fn connect(app: &App, topology: Topology, need: Need, tasks: &TaskGroup) -> Result<Self, Failure> {
        let (metrics, clock) = (Metrics::new(), Clock::system());
        let name: NodeName = "command".parse().map_err(crate::Error::from)?;
        let zone: Zone = topology.system.zones[0].clone();
        let config = &topology.database;
        let database = match need {
            Need::Primary => Database::connect(config, &name, &zone, tasks, &metrics, clock.clone()).await?,
            Need::Nothing => Database::open(config, &name, &zone, tasks, &metrics, clock.clone())?,
        };
        let node = Node { name, tasks: tasks.clone(), metrics, clock: clock.clone() };
        let coordination = Coordination::command(&database, &topology.coordination, &node)?;
        for register in &app.settings {
            register(coordination.settings())?;
        }
        Ok(Self { topology, database, coordination, clock })
    }
}
