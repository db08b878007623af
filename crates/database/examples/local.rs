//! The cluster of `up` alone, without nodes: `local STATE REPLICAS [BINARIES | continue]`. It prints what happens and stops at `SIGTERM`.

use onefold_core::engine::{LocalEngine as _, Seat, Site};
use onefold_core::process::Process;
use onefold_core::{Clock, Zone};
use onefold_database::WhenAlone;
use onefold_database::local::{LocalCluster, Plan};
use onefold_supervisor::{Ports, State, Supervisor, hidden};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    if let Some(code) = hidden::entry() {
        return code;
    }
    let mut arguments = std::env::args().skip(1);
    let (Some(state), Some(Ok(replicas))) = (arguments.next(), arguments.next().map(|text| text.parse()))
    else {
        eprintln!("usage: local STATE REPLICAS [BINARIES | continue]");
        return ExitCode::from(2);
    };
    let last = arguments.next();
    let when_alone = match last.as_deref() {
        Some("continue") => WhenAlone::Continue,
        _ => WhenAlone::Wait,
    };
    let binaries = last.filter(|_| when_alone == WhenAlone::Wait).map(PathBuf::from);
    let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
    match runtime.block_on(run(Path::new(&state), replicas, binaries, when_alone)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.downcast_ref().map_or(2, onefold_supervisor::Error::exit_status))
        }
    }
}

async fn run(
    state: &Path,
    replicas: u8,
    binaries: Option<PathBuf>,
    when_alone: WhenAlone,
) -> Result<(), Failure> {
    let state = Arc::new(State::claim(state)?);
    let (events, mut heard) = mpsc::channel(64);
    let supervisor = Supervisor::new(Arc::clone(&state), events, Clock::system())?;
    let cluster =
        LocalCluster::plan(plan(&state, replicas, binaries, when_alone)?, supervisor.host().as_ref()).await?;
    let told = async {
        while let Some(event) = heard.recv().await {
            println!("{event}");
        }
    };
    tokio::select! {
        done = live(&supervisor, cluster.processes()) => done,
        () = told => Ok(()),
    }
}

fn plan(
    state: &State,
    replicas: u8,
    binaries: Option<PathBuf>,
    when_alone: WhenAlone,
) -> Result<Plan, Failure> {
    let mut ports = Ports::open(state, None);
    let zones: Vec<Zone> = ["a", "b", "c"].into_iter().map(str::parse).collect::<Result<_, _>>()?;
    let mut seats = Vec::new();
    for (name, zone) in LocalCluster::names(replicas).into_iter().zip(zones) {
        let address = ports.any(name.as_str())?;
        seats.push(Seat { name, zone, address, peers: address });
    }
    ports.save()?;
    let engines = state.engines();
    let site = Site {
        seats,
        home: engines.home().to_owned(),
        secrets: state.secrets(),
        account: engines.account().cloned(),
    };
    let (cache, sockets) = (engines.cache().to_owned(), engines.sockets().to_owned());
    Ok(Plan { site, binaries, cache, sockets, connections_max: 100, when_alone, detours: BTreeMap::new() })
}

async fn live(supervisor: &Supervisor, servers: Vec<Arc<dyn Process>>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let before = Clock::system().now();
    tokio::select! {
        started = supervisor.start(servers) => {
            started?;
            println!("ready in {} ms", before.elapsed().as_millis());
            supervisor.announce_ready();
            terminate.recv().await;
        }
        _ = terminate.recv() => {}
    }
    supervisor.stop().await;
    Ok(())
}
