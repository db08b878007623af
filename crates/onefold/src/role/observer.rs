//! The observer node: takes what the others tell of themselves, and shows the system on one page.
//!
//! It needs nobody: it starts before the database, shows what the supervisor and the last snapshot of the members
//! say while that is away, and nobody waits for it.

mod api;
mod edges;
mod happening;
pub(crate) mod home;
mod look;
mod picture;
mod stamp;
mod stream;
mod survey;

use super::lifecycle::{Lifecycle, bind};
use crate::App;
use crate::error::Result;
use crate::node::{self, Identity};
use crate::serve::{Limits, serve};
use crate::topology::Topology;
use api::Desk;
use axum::Router;
use home::Home;
use onefold_console::{Audit, Console, Tokens};
use onefold_coordination::Coordination;
use onefold_core::{Clock, NodeName, TaskGroup};
use onefold_database::Database;
use onefold_queue::{Admin, postgres::Postgres};
use std::time::Duration;
use survey::{Survey, View};

/// How long the last answers may take at a stop.
const DRAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(app: App, topology: &Topology, identity: Identity, lifecycle: Lifecycle) -> Result {
    let clock = Clock::system();
    let mut config = topology.console.clone();
    config.listen = identity.listen.unwrap_or(config.listen);
    let home = Home::open(identity.state.as_deref(), topology.observer.directory.as_deref())?;
    let listener = bind(config.listen, "console.listen", "--listen").await?;
    let tokens = Tokens::open(home.tokens())?;
    let audit = Audit::open(Some(config.audit.as_deref().unwrap_or(home.audit())), clock.clone())?;

    let (name, zone) = (&identity.name, &identity.zone);
    let (tasks, metrics) = (&lifecycle.tasks, &lifecycle.metrics);
    let database = Database::open(&topology.database, name, zone, tasks, metrics, clock.clone())?;
    let coordination = node::coordination(topology, &database, name, tasks, metrics, &clock).await;
    for register in &app.settings {
        register(coordination.settings())?;
    }
    let system = topology.system.name.as_ref().map_or_else(|| app.name.to_owned(), NodeName::to_string);
    let survey = Survey {
        system: system.clone(),
        supervisor: home.supervisor(),
        database: database.clone(),
        coordination: coordination.clone(),
        clock: clock.clone(),
    };
    let view = survey.start(tasks);
    let router = router(
        Console::new(config, tokens, audit, clock.clone()).system(system),
        view,
        desk(&database, &coordination, clock),
        &lifecycle,
    );
    let (serving, connections) = (TaskGroup::new(), TaskGroup::new());
    serving
        .spawn("console", serve(listener, router, Limits::default(), connections, serving.stopping(), DRAIN));
    let registration = coordination.members().register(identity.member());
    lifecycle.readiness.set(true);
    tracing::info!("ready");

    lifecycle.stopping.cancelled().await;
    lifecycle.readiness.set(false);
    serving.stop(DRAIN * 2).await;
    registration.leave().await;
    lifecycle.end(DRAIN).await;
    Ok(())
}

fn desk(database: &Database, coordination: &Coordination, clock: Clock) -> Desk {
    let jobs = Admin::new(Postgres::new(database.clone(), clock));
    Desk { jobs, coordination: coordination.clone() }
}

fn router(console: Console, view: View, desk: Desk, lifecycle: &Lifecycle) -> Router {
    let reads = api::reads(view, desk.clone(), lifecycle.stopping.clone());
    console.router(reads, api::changes(desk))
}
