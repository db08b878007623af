//! `serve`: one node.

use super::exit::Failure;
use crate::App;
use crate::node::Identity;
use crate::role::{self, Telemetry};
use crate::topology::Topology;
use clap::Args;
use nix::sys::resource::{Resource as Limited, getrlimit, setrlimit};
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, Clock, NodeName, Role, Zone};
use onefold_observability::emit::{self, Resource};
use onefold_supervisor::Inheritance;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// What the node does: balancer, app, worker or observer
    #[arg(long)]
    role: Role,
    /// Where it stands; by default the topology's first zone
    #[arg(long)]
    zone: Option<Zone>,
    /// Its name, unique in the system; by default role and zone
    #[arg(long)]
    name: Option<NodeName>,
    /// The topology file; by default ./Onefold.toml where there is one
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Where it takes requests; by default what the topology says for the role
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the others find it, if that is not where it listens: behind a proxy, or another address of this machine
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<SocketAddr>,
    /// Where the others find its admin address, likewise
    #[arg(long, value_name = "ADDRESS")]
    advertise_admin: Option<SocketAddr>,
    /// Where it serves /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3001")]
    admin: SocketAddr,
    /// The state directory of the `up` that runs this node: an observer shows its processes, and keeps its data there
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn run(app: App, arguments: &Arguments) -> Result<(), Failure> {
    // Before anything opens a file.
    let inherited = Inheritance::claim()?;
    let topology = Topology::load(super::up::topology_or_default(arguments.topology.clone()).as_deref())?;
    let identity = identify(arguments, &topology, inherited)?;
    let system = topology.system.name.as_ref().map_or_else(|| app.name.to_owned(), NodeName::to_string);
    let resource = Resource {
        service: system,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: identity.name.clone(),
        role: identity.role,
        zone: identity.zone.clone(),
    };
    raise_descriptors();
    let metrics = Metrics::new();
    let emitter = emit::install(&resource, &topology.telemetry, &metrics, Clock::system())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(role::run(app, topology, identity, Telemetry { metrics, emitter }))?)
}

/// Takes all the file descriptors that this account may have: each connection needs one, and the usual first limit of 1024
/// is there for programs that could not count further.
fn raise_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Limited::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it is refused, the first limit holds, and `doctor` tells of it.
        let _ = setrlimit(Limited::RLIMIT_NOFILE, hard, hard);
    }
}

fn identify(arguments: &Arguments, topology: &Topology, inherited: Inheritance) -> Result<Identity, Failure> {
    let zone = arguments.zone.clone().unwrap_or_else(|| topology.system.zones[0].clone());
    if !topology.system.zones.contains(&zone) {
        let zones: Vec<&str> = topology.system.zones.iter().map(Zone::as_str).collect();
        let zones = zones.join(", ");
        return Err(Failure::Usage(format!("--zone: `{zone}` is not in system.zones; it is one of {zones}")));
    }
    let listen = match arguments.role {
        Role::Balancer => Some(arguments.listen.unwrap_or(topology.balancer.listen)),
        Role::App => Some(arguments.listen.unwrap_or(topology.app.listen)),
        Role::Worker => None,
        Role::Observer => Some(arguments.listen.unwrap_or(topology.console.listen)),
    };
    let default_name = || format!("{}-{zone}", arguments.role).parse();
    let name = arguments.name.clone().map_or_else(default_name, Ok).map_err(crate::Error::from)?;
    let state = arguments.state.clone();
    Ok(Identity {
        name,
        role: arguments.role,
        zone,
        listen,
        advertise: arguments.advertise,
        advertise_admin: arguments.advertise_admin,
        admin: arguments.admin,
        boot: Boot::new(),
        state,
        inherited,
    })
}
