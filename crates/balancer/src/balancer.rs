//! The balancer as a whole: made from its configuration and a watch of members, run until it is told to stop.

use crate::config::Config;
use crate::endpoint::{Checks, EndpointStatus, Table};
use crate::error::Error;
use crate::lane::{Lane, Shared};
use crate::meters::Meters;
use crate::{listen, thread};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Members, NodeName, TaskGroup, Zone};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A load balancer. Clones share one.
#[derive(Clone, Debug)]
pub struct Balancer {
    shared: Arc<Shared>,
    members: watch::Receiver<Members>,
    node: NodeName,
}

/// A balancer that has its address, and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    balancer: Balancer,
    listeners: Vec<TcpListener>,
    address: SocketAddr,
}

/// How often limits forget and gauges are set.
const TICK: Duration = Duration::from_secs(1);

impl Balancer {
    /// A balancer named `node` that stands in `zone`, for the members with the role `app`.
    ///
    /// The configuration must be [valid](Config::validate). `members` may end or fall silent: the last members
    /// stay in force.
    pub fn new(
        config: Config,
        zone: &Zone,
        node: &NodeName,
        members: watch::Receiver<Members>,
        metrics: &Metrics,
        clock: Clock,
    ) -> Self {
        let meters = Arc::new(Meters::new(metrics));
        let settings = config.endpoint_settings(&clock, config.thread_count());
        let table = Arc::new(Table::new(settings, config.rules(zone), metrics.clone(), meters.clone()));
        table.reconcile(&members.borrow());
        let shared = Arc::new(Shared::new(config, clock, table, meters));
        Self { shared, members, node: node.clone() }
    }

    /// Every endpoint as it is now.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        self.shared.table.statuses(self.shared.clock.now())
    }

    /// Takes the address, so that a caller knows it before anything is served. Port 0 takes any free one.
    ///
    /// # Errors
    /// [`Error::Listen`] where the address is taken or not this machine's.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(&self, listen: SocketAddr) -> Result<Bound, Error> {
        let listeners = listen::open(listen, self.shared.config.thread_count())?;
        let address = listeners.first().and_then(|listener| listener.local_addr().ok()).unwrap_or(listen);
        Ok(Bound { balancer: self.clone(), listeners, address })
    }

    /// Takes sockets that listen already and belong to somebody who keeps them over this balancer's restarts: what is
    /// not accepted before it ends waits for its successor.
    ///
    /// # Errors
    /// [`Error::Thread`] where they are no listening sockets, or none at all.
    pub fn take(&self, sockets: Vec<TcpListener>) -> Result<Bound, Error> {
        let nobody = || io::Error::other("no socket was handed over");
        let address = sockets.first().ok_or_else(nobody).and_then(TcpListener::local_addr);
        let address = address.map_err(Error::Thread)?;
        for socket in &sockets {
            socket.set_nonblocking(true).map_err(Error::Thread)?;
        }
        Ok(Bound { balancer: self.clone(), listeners: sockets, address })
    }

    /// [`bind`](Self::bind) and [`serve`](Bound::serve).
    ///
    /// # Errors
    /// As these two.
    pub async fn serve(&self, listen: SocketAddr, stopping: CancellationToken) -> Result<(), Error> {
        self.bind(listen)?.serve(stopping).await
    }
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stopping` is cancelled, then drains: connections that were made are served, answers say
    /// `Connection: close`, and what is in flight has `drain_timeout` to end.
    ///
    /// Dropping the future leaves the threads running until `stopping` is cancelled: cancel it.
    ///
    /// # Errors
    /// [`Error::Thread`] where a thread cannot be started, or has failed.
    pub async fn serve(self, stopping: CancellationToken) -> Result<(), Error> {
        let Self { balancer, listeners, address } = self;
        let shared = balancer.shared;
        let shares = listen::spread(listeners, shared.config.thread_count()).map_err(Error::Thread)?;
        let tasks = TaskGroup::new();
        let config = &shared.config;
        let checks = Checks {
            interval: config.check_interval,
            timeout: config.check_timeout,
            failures: config.check_failures,
        };
        shared.table.start(balancer.members, checks, &tasks);
        tasks.spawn("client limits", sweep(shared.clone(), tasks.stopping()));
        tracing::info!(node = %balancer.node, %address, threads = shares.len(), "balancer listens");
        let lanes = shares.into_iter().enumerate().map(|(thread, listeners)| {
            let lane = Arc::new(Lane { thread, shared: shared.clone() });
            thread::start(lane, listeners, stopping.clone())
        });
        let ended = futures_util::future::join_all(lanes).await;
        tasks.stop(TICK).await;
        ended.into_iter().collect()
    }
}

async fn sweep(shared: Arc<Shared>, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        shared.clients.sweep();
        let connections = u32::try_from(shared.clients.connections()).unwrap_or(u32::MAX);
        shared.meters.connections.set(f64::from(connections));
    }
}
