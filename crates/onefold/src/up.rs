//! `up`: plans the processes of a topology and hands them to the supervisor.

mod effective;
mod engines;
mod migrated;
mod node;
mod plan;

pub(crate) use effective::EFFECTIVE;

use crate::App;
use crate::cli::{Failure, complain};
use crate::topology::Topology;
use migrated::Migrated;
use onefold_core::process::Process;
use onefold_core::{Clock, Role};
use onefold_supervisor::{Event, Ports, State, Supervisor};
use plan::Planned;
use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// What the command line says beside the topology.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) state: PathBuf,
    pub(crate) port: Option<u16>,
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
    let mut signals = Signals::new()?;
    let state = Arc::new(State::claim(&options.state)?);
    let mut ports = Ports::open(&state, options.port);
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    let supervisor = Supervisor::new(Arc::clone(&state), events, clock.clone())?;
    let placed = place(&topology, &mut ports)?;
    let engines = engines::plan(&topology, &state, &mut ports, &*supervisor.host()).await?;
    ports.save()?;
    let effective = effective::write(&topology, &state, &engines)?;
    let migrated = Arc::new(Migrated::new(app, &effective.topology));
    if topology.database.url.is_some() {
        // It is there before the system is, or there is nothing to wait for.
        tokio::select! {
            ready = migrated.ensure() => ready?,
            () = signals.next() => return Ok(()),
        }
    }
    let nodes = nodes(&migrated, placed, &engines, &effective, &state)?;
    let processes = engines.processes().into_iter().chain(nodes).collect();

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
        announce(&supervisor, &clock, begun);
        telling(&mut heard, signals.next()).await;
    }
    complain("stopping; once more kills what is left\n");
    telling(&mut heard, async {
        tokio::select! {
            () = supervisor.stop() => {}
            () = signals.next() => supervisor.hurry(),
        }
        supervisor.stop().await;
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
            Role::Worker | Role::Observer => None,
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
    placed: Vec<Placed>,
    engines: &engines::Engines,
    effective: &effective::Effective,
    state: &State,
) -> Result<Vec<Arc<dyn Process>>, Failure> {
    let binary = std::env::current_exe()?;
    let directory = std::env::current_dir()?;
    let apps: Vec<_> = placed
        .iter()
        .filter(|node| node.planned.role == Role::App)
        .map(|node| node.planned.name.clone())
        .collect();
    let nodes = placed.into_iter().map(|Placed { planned, listen, admin }| {
        let mut after = engines.names();
        if planned.role == Role::Balancer {
            // It needs somebody to send requests to, and at a stop it goes first.
            after.extend(apps.iter().cloned());
        }
        Arc::new(node::NodeProcess {
            grace: effective.topology.grace(planned.role),
            snapshot: state.run().join(format!("{}.snapshot.json", planned.name)),
            planned,
            listen,
            admin,
            after,
            binary: binary.clone(),
            directory: directory.clone(),
            topology: effective.path.clone(),
            migrated: Arc::clone(migrated),
        }) as Arc<dyn Process>
    });
    Ok(nodes.collect())
}

/// The table, the URL, and how long it took.
fn announce(supervisor: &Supervisor, clock: &Clock, begun: Instant) {
    let status = supervisor.status().borrow().clone();
    let balancer = status.processes.iter().find(|process| process.role == Role::Balancer.as_str());
    tell(format_args!("\n{}\n", status.table(clock.wall())));
    if let Some(balancer) = balancer {
        tell(format_args!("http://{} is the application, through the balancer\n", balancer.address));
    }
    tell(format_args!("ready in {:.1} s\n", (clock.now() - begun).as_secs_f64()));
    supervisor.announce_ready();
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
