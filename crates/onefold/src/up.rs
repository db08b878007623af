//! `up`: plans the processes of a topology and hands them to the supervisor.

mod build;
mod chaos;
pub(crate) mod control;
mod detours;
mod effective;
mod engines;
mod kept;
mod migrated;
mod node;
mod plan;
pub(crate) mod report;
mod roll;
mod spin;
mod web;

pub(crate) use build::called_by;
pub(crate) use effective::EFFECTIVE;

use crate::App;
use crate::cli::{Failure, complain};
use crate::role::observer::home;
use crate::topology::Topology;
use build::Build;
use chaos::Chaos;
use control::{Desk, Door};
use effective::Ingest;
use kept::Kept;
use migrated::Migrated;
use node::NodeProcess;
use onefold_core::process::{Host, Process};
use onefold_core::{Clock, NodeName, Role};
use onefold_supervisor::{Event, Ports, State, Supervisor};
use plan::Planned;
use roll::Roll;
use spin::Told;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use web::Web;

/// What the command line says beside the topology.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) state: PathBuf,
    pub(crate) port: Option<u16>,
    /// Whether connections lead through the fault proxy.
    pub(crate) chaos: bool,
}

/// How many nodes a topology asks for.
pub(crate) fn nodes_count(topology: &Topology) -> usize {
    plan::nodes(topology).len()
}

/// Events that wait to be printed: more than a system has processes.
const EVENTS_MAX: usize = 256;

/// Runs the whole system until it is told to stop.
///
/// # Errors
/// Where it cannot be started; then nothing is left running.
pub(crate) async fn run(app: &App, topology: Topology, options: Options) -> Result<(), Failure> {
    let clock = Clock::system();
    let begun = clock.now();
    let build = Arc::new(Build::open(called_by()?).await?);
    let mut signals = Signals::new()?;
    let state = Arc::new(State::claim(&options.state)?);
    let mut ports = Ports::open(&state, options.port);
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    let supervisor = Supervisor::new(Arc::clone(&state), events, clock.clone())?;
    let placed = place(&topology, &mut ports)?;
    let ingest = Ingest {
        grpc: ports.fixed("observer.grpc", topology.observer.grpc, 2)?,
        http: ports.fixed("observer.http", topology.observer.http, 3)?,
        console: placed.iter().find(|node| node.planned.role == Role::Observer).and_then(|node| node.listen),
    };
    let mut web = Web::new(options.chaos);
    let engines = engines::plan(&topology, &state, (&mut ports, &mut web), &*supervisor.host()).await?;
    let effective = effective::write(&topology, &state, &engines, ingest)?;
    let told = spin::spin(&placed, &engines, (&effective, ingest), (&mut ports, &mut web))?;
    ports.save()?;
    let door = Door::open(state.engines().sockets())?;
    let migrated = Arc::new(Migrated::new(app, &effective.topology));
    if topology.database.url.is_some() {
        // It is there before the system is, or there is nothing to wait for.
        tokio::select! {
            ready = migrated.ensure() => ready?,
            () = signals.next() => return Ok(()),
        }
    }
    let chaos = Chaos::open(&supervisor, web.into_edges(), &state, clock.clone()).await?;
    let placed = placed.into_iter().zip(told).collect();
    let nodes = nodes(&migrated, placed, (&engines, &effective), (&state, &*supervisor.host()), &build)?;
    let started = nodes.iter().map(|node| Arc::clone(node) as Arc<dyn Process>);
    let processes = engines.processes().into_iter().chain(started).collect();
    let roll = Roll::new(nodes, build.path().to_owned(), state.path().to_owned());
    drop(build);

    let started = telling(&mut heard, async {
        tokio::select! {
            started = supervisor.start(processes) => started,
            () = signals.next() => Ok(()),
        }
    });
    if let Err(error) = started.await {
        telling(&mut heard, supervisor.stop()).await;
        return Err(Failure::from(error));
    }
    if !signals.is_told {
        announce(&supervisor, &state, &effective.topology.console, &clock, begun);
        let desk = Desk { database: engines.database(), supervisor: &supervisor, roll: &roll, chaos: &chaos };
        let waiting = async {
            tokio::select! {
                () = signals.next() => {}
                never = door.serve(&desk) => match never {},
                never = chaos.tend() => match never {},
            }
        };
        telling(&mut heard, waiting).await;
    }
    complain("stopping; once more kills what is left\n");
    telling(&mut heard, async {
        chaos.end_all().await;
        tokio::select! {
            () = supervisor.stop() => {}
            () = signals.next() => supervisor.hurry(),
        }
        supervisor.stop().await;
        chaos.close().await;
    })
    .await;
    Ok(())
}

/// Gives every node its addresses: where it takes requests, if it does, and its admin address.
fn place(topology: &Topology, ports: &mut Ports) -> Result<Vec<Placed>, Failure> {
    let mut placed = Vec::new();
    for planned in plan::nodes(topology) {
        let listen = match planned.role {
            Role::Balancer => Some(ports.fixed("balancer.listen", topology.balancer.listen, 0)?),
            Role::App => Some(ports.any(planned.name.as_str())?),
            Role::Observer => Some(ports.fixed("console.listen", topology.console.listen, 1)?),
            Role::Worker => None,
        };
        let admin = ports.any(&format!("{}-admin", planned.name))?;
        placed.push(Placed { planned, listen, admin });
    }
    Ok(placed)
}

struct Placed {
    planned: Planned,
    listen: Option<SocketAddr>,
    admin: SocketAddr,
}

fn nodes(
    migrated: &Arc<Migrated>,
    placed: Vec<(Placed, Told)>,
    (engines, effective): (&engines::Engines, &effective::Effective),
    (state, host): (&State, &dyn Host),
    build: &Arc<Build>,
) -> Result<Vec<Arc<NodeProcess>>, Failure> {
    let directory = std::env::current_dir()?;
    let named = |is: fn(Role) -> bool| -> Vec<NodeName> {
        let nodes = placed.iter().map(|(node, _)| &node.planned);
        nodes.filter(|node| is(node.role)).map(|node| node.name.clone()).collect()
    };
    let apps = named(|role| role == Role::App);
    let watched = named(|role| role != Role::Observer);
    let mut nodes = Vec::new();
    for (Placed { planned, listen, admin }, told) in placed {
        let is_observer = planned.role == Role::Observer;
        let after = match planned.role {
            Role::Observer => Vec::new(),
            // It needs somebody to send requests to, and at a stop it goes first.
            Role::Balancer => engines.names().into_iter().chain(apps.iter().cloned()).collect(),
            Role::App | Role::Worker => engines.names(),
        };
        let topology = told.topology(&planned.name, (effective, engines), (state, host))?;
        nodes.push(Arc::new(NodeProcess {
            kept: listen
                .filter(|_| planned.role == Role::Balancer)
                .map(|address| Kept::new(effective.topology.balancer.clone(), address)),
            grace: effective.topology.grace(planned.role),
            snapshot: state.run().join(format!("{}.snapshot.json", planned.name)),
            planned,
            listen,
            advertise: told.advertise,
            admin,
            after,
            outlives: if is_observer { watched.clone() } else { Vec::new() },
            state: is_observer.then(|| state.path().to_owned()),
            build: Mutex::new(Arc::clone(build)),
            directory: directory.clone(),
            topology,
            migrated: (!is_observer).then(|| Arc::clone(migrated)),
        }));
    }
    Ok(nodes)
}

/// The table, the two URLs, and how long it took.
fn announce(
    supervisor: &Supervisor,
    state: &State,
    console: &onefold_console::Config,
    clock: &Clock,
    begun: Instant,
) {
    let status = supervisor.status().borrow().clone();
    let of = |role: Role| status.processes.iter().find(|process| process.role == role.as_str());
    tell(format_args!("\n{}\n", status.table(clock.wall())));
    if let Some(balancer) = of(Role::Balancer) {
        tell(format_args!("http://{} is the application, through the balancer\n", balancer.address));
    }
    if let Some(observer) = of(Role::Observer) {
        // A link that lets in is for the person at the terminal, not for a file.
        let link = invitation(console, observer.address, state.path(), clock);
        match link.filter(|_| io::stdout().is_terminal()) {
            Some(link) => tell(format_args!("{link} is the console\n")),
            None => tell(format_args!(
                "{}/ is the console; `console` prints a link that may change things\n",
                console.origin(observer.address)
            )),
        }
    }
    tell(format_args!("ready in {:.1} s\n", (clock.now() - begun).as_secs_f64()));
    supervisor.announce_ready();
}

/// A link to the console that starts one session.
fn invitation(
    console: &onefold_console::Config,
    address: SocketAddr,
    state: &Path,
    clock: &Clock,
) -> Option<String> {
    crate::invitation::link(console, address, &home::tokens(state), clock)
        .inspect_err(|error| complain(&format!("no link to the console can be made: {error}\n")))
        .ok()
}

/// Does the work, and prints one line for each event meanwhile: what has happened is told before the work's end.
async fn telling<T>(events: &mut mpsc::Receiver<Event>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => tell(format_args!("{event}\n")),
            done = &mut work => {
                while let Ok(event) = events.try_recv() {
                    tell(format_args!("{event}\n"));
                }
                return done;
            }
        }
    }
}

/// Writes to standard output, as far as somebody is there: a system outlives the reader of its events.
fn tell(text: fmt::Arguments<'_>) {
    let _ = io::stdout().write_fmt(text);
}

/// Ctrl-C, `SIGTERM`, and the `SIGHUP` of a terminal that closes: each asks for an orderly stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    is_told: bool,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            is_told: false,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        self.is_told = true;
    }
}
