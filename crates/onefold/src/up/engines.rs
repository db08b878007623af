//! The engines that `up` runs itself: for each tier, unless the topology says where the team's own is.

#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "nats")]
mod nats;
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use super::web::Web;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_core::engine::{LocalEngine, Seat, Site, Value};
use onefold_core::process::{Host, Process};
use onefold_core::{NodeName, Zone};
use onefold_database::local::LocalCluster;
use onefold_supervisor::{Ports, State};
use std::net::SocketAddr;
use std::sync::Arc;

/// The engines of a system on this machine.
pub(super) struct Engines {
    /// Those whose servers nodes find by the topology alone.
    told: Vec<Box<dyn LocalEngine>>,
    /// Those whose servers tell clients where the others are.
    announced: Vec<Box<dyn LocalEngine>>,
    database: Option<LocalCluster>,
}

/// What engines are planned on: places, ports and zones of one system.
struct Ground<'a> {
    zones: &'a [Zone],
    engines: &'a onefold_supervisor::Engines,
    secrets: std::path::PathBuf,
    ports: &'a mut Ports,
    web: &'a mut Web,
    host: &'a dyn Host,
}

/// Plans the engines; starts nothing yet.
pub(super) async fn plan(
    topology: &Topology,
    state: &State,
    (ports, web): (&mut Ports, &mut Web),
    host: &dyn Host,
) -> Result<Engines, Failure> {
    let mut ground = Ground {
        zones: &topology.system.zones,
        engines: state.engines(),
        secrets: state.secrets(),
        ports,
        web,
        host,
    };
    let database = postgres::plan(topology, &mut ground).await?;
    let mut told: Vec<Box<dyn LocalEngine>> = Vec::new();
    #[cfg_attr(
        not(any(feature = "nats", feature = "redis")),
        expect(unused_mut, reason = "none is built in")
    )]
    let mut announced: Vec<Box<dyn LocalEngine>> = Vec::new();
    told.extend(database.clone().map(|database| Box::new(database) as Box<dyn LocalEngine>));
    #[cfg(feature = "etcd")]
    told.extend(etcd::plan(topology, &mut ground).await?);
    #[cfg(feature = "nats")]
    announced.extend(nats::plan(topology, &mut ground).await?);
    #[cfg(feature = "redis")]
    announced.extend(redis::plan(topology, &mut ground).await?);
    Ok(Engines { told, announced, database })
}

impl Ground<'_> {
    /// Places servers of these names, each with one listener, over the zones.
    fn site(&mut self, names: Vec<NodeName>) -> Result<Site, Failure> {
        let zones = self.zones.iter().cycle();
        let mut seats = Vec::new();
        for (name, zone) in names.into_iter().zip(zones) {
            let address = self.ports.any(name.as_str())?;
            seats.push(Seat { name, zone: zone.clone(), address, peers: address });
        }
        Ok(Site {
            seats,
            home: self.engines.home().to_owned(),
            secrets: self.secrets.clone(),
            account: self.engines.account().cloned(),
        })
    }

    /// The same for servers with a second listener, where they reach each other.
    #[cfg(any(feature = "nats", feature = "redis"))]
    fn site_with_peers(&mut self, names: Vec<NodeName>) -> Result<Site, Failure> {
        let mut site = self.site(names)?;
        for seat in &mut site.seats {
            seat.peers = self.ports.any(&format!("{}-peers", seat.name))?;
        }
        Ok(site)
    }
}

impl Engines {
    /// The database, where it is one of them.
    pub(super) fn database(&self) -> Option<&LocalCluster> {
        self.database.as_ref()
    }

    pub(super) fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.all().flat_map(LocalEngine::processes).collect()
    }

    /// The servers that each node may be told to look for elsewhere, and where they are.
    pub(super) fn servers_told(&self) -> Vec<(NodeName, SocketAddr)> {
        let processes = self.told.iter().flat_map(|engine| engine.processes());
        processes.map(|process| (process.name().clone(), process.address())).collect()
    }

    /// The keys by which nodes are told of them.
    pub(super) fn keys_told(&self) -> Vec<&'static str> {
        self.told.iter().flat_map(|engine| engine.keys()).map(|(key, _)| key).collect()
    }

    fn all(&self) -> impl Iterator<Item = &dyn LocalEngine> {
        self.told.iter().chain(&self.announced).map(AsRef::as_ref)
    }

    pub(super) fn names(&self) -> Vec<NodeName> {
        self.processes().iter().map(|process| process.name().clone()).collect()
    }

    /// What nodes are told of them, in the topology's keys.
    pub(super) fn keys(&self) -> Vec<(&'static str, Value)> {
        self.all().flat_map(LocalEngine::keys).collect()
    }
}
