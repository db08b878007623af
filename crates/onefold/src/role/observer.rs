//! The observer node: takes what the others tell of themselves, and shows the system on one page.
//!
//! It needs nobody: it starts before the database, shows what the supervisor and the last snapshot of the members
//! say while that is away, and nobody waits for it.

mod api;
mod backlog;
mod edges;
mod faults;
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
use crate::serve::{Door, Limits, serve};
use crate::topology::Topology;
use api::Desk;
use edges::Edges;
use home::Home;
use onefold_console::{Audit, Console, Tls, Tokens};
use onefold_core::{Clock, NodeName, TaskGroup};
use onefold_database::Database;
use onefold_observability::collect::Collector;
use std::time::Duration;
use survey::Survey;

/// How long the last answers may take at a stop.
const DRAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(app: App, topology: &Topology, identity: Identity, lifecycle: Lifecycle) -> Result {
    let clock = Clock::system();
    let home = Home::open(identity.state.as_deref(), topology.observer.directory.as_deref())?;
    // What the others tell of their start is taken before anything is asked of the database.
    let ingest = TaskGroup::new();
    let collector = collect(topology, &home, &lifecycle, &ingest, &clock).await?;
    let mut config = topology.console.clone();
    config.listen = identity.listen.unwrap_or(config.listen);
    // Once more: the command line may have opened what the topology did not.
    config.validate()?;
    let tls = config.tls.as_ref().map(Tls::acceptor).transpose()?;
    let listener = bind(config.listen, "console.listen", "--listen").await?;
    let tokens = Tokens::open(home.tokens())?;
    let audit = Audit::open(Some(config.audit.as_deref().unwrap_or(home.audit())), clock.clone())?;

    let (name, zone) = (&identity.name, &identity.zone);
    let (tasks, metrics) = (&lifecycle.tasks, &lifecycle.metrics);
    let database = Database::open(&topology.database, name, zone, tasks, metrics, clock.clone())?;
    let coordination = node::coordination(topology, &database, name, tasks, metrics, &clock).await?;
    for register in &app.settings {
        register(coordination.settings())?;
    }
    let system = topology.system.name.as_ref().map_or_else(|| app.name.to_owned(), NodeName::to_string);
    let survey = Survey {
        system: system.clone(),
        supervisor: home.supervisor(),
        database: database.clone(),
        coordination: coordination.clone(),
        edges: Edges::new(collector.samples().clone(), topology.telemetry.first_of_several()),
        epoch_file: topology.database.epoch_file.clone(),
        alone: metrics.gauge(
            "onefold_database_alone",
            "1 while the primary may have acknowledged what no replica has",
            &[],
        ),
        clock: clock.clone(),
    };
    let console =
        Console::new(config, tokens, audit, clock.clone()).system(system).spent_tickets(home.tickets())?;
    let jobs = topology.queue.admin(identity.name.as_str(), &database, clock).await?;
    let members = coordination.members().watch();
    let counts = backlog::watch(jobs.clone(), members, lifecycle.metrics.clone(), tasks.stopping());
    tasks.spawn("observer.backlog", counts);
    let desk = Desk {
        jobs,
        coordination: coordination.clone(),
        alerts: collector.alerts().clone(),
        supervisor: home.supervisor(),
    };
    let reads = api::reads(survey.start(tasks), desk.clone(), lifecycle.stopping.clone());
    let router = console.router(reads.merge(collector.router()), api::changes(desk));
    let (serving, connections) = (TaskGroup::new(), TaskGroup::new());
    if let Some(tls) = tls.clone() {
        serving.spawn("console.certificate", tls.follow(serving.stopping()));
    }
    serving.spawn(
        "console",
        serve(Door { listener, tls }, router, Limits::default(), connections, serving.stopping(), DRAIN),
    );
    let registration = coordination.members().register(identity.member());
    lifecycle.readiness.set(true);
    tracing::info!("ready");

    lifecycle.stopping.cancelled().await;
    lifecycle.readiness.set(false);
    serving.stop(DRAIN * 2).await;
    registration.leave().await;
    ingest.stop(DRAIN * 2).await;
    collector.close().await;
    lifecycle.end(DRAIN).await;
    Ok(())
}

/// Opens the stores, and takes what is sent.
async fn collect(
    topology: &Topology,
    home: &Home,
    lifecycle: &Lifecycle,
    ingest: &TaskGroup,
    clock: &Clock,
) -> Result<Collector> {
    let config = topology.observer.clone();
    let (grpc, http) = (config.grpc, config.http);
    let collector = Collector::open(config, home.directory(), ingest, &lifecycle.metrics, clock)?;
    let grpc = bind(grpc, "observer.grpc", "observer.grpc").await?;
    let http = bind(http, "observer.http", "observer.http").await?;
    for (name, listener) in [("otlp.grpc", grpc), ("otlp.http", http)] {
        let (collector, stopping) = (collector.clone(), ingest.stopping());
        // Both understand both.
        ingest.spawn(name, async move { collector.serve_grpc(listener, stopping).await });
    }
    Ok(collector)
}
