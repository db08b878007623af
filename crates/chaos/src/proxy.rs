//! The proxy: a listener for each edge, and what is done to the connections through it.

use crate::bucket::Bucket;
use crate::course::Plan;
use crate::pump::now;
use crate::relay::{Regime, relay};
use onefold_core::{NodeName, TaskGroup};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Connections of one edge at once. Beyond that newcomers wait.
const CONNECTIONS_MAX: usize = 1024;
/// After an error of a listener, like too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// One edge: who reaches whom, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who opens connections.
    pub from: NodeName,
    /// To whom.
    pub to: NodeName,
    /// Where `from` believes `to` to be.
    pub listen: SocketAddr,
    /// Where it is.
    pub upstream: SocketAddr,
}

/// The edges that can be broken.
#[derive(Debug, Default)]
pub struct Proxy {
    gates: BTreeMap<(NodeName, NodeName), Gate>,
}

#[derive(Clone, Debug, Default)]
struct Gate {
    plan: watch::Sender<Plan>,
    resets: watch::Sender<u64>,
}

impl Proxy {
    /// Listens for all edges; `seed` is what jitter is drawn from. It carries until the tasks stop.
    ///
    /// # Errors
    /// Where one of the addresses is taken.
    pub async fn open(edges: Vec<Edge>, seed: u64, tasks: &TaskGroup) -> io::Result<Self> {
        let mut gates: BTreeMap<_, Gate> = BTreeMap::new();
        for (edge, number) in edges.into_iter().zip(1_u64..) {
            let listener = TcpListener::bind(edge.listen).await?;
            // One edge may have several addresses.
            let gate: &Gate = gates.entry((edge.from, edge.to)).or_default();
            let seed = seed.wrapping_add(number << 32);
            tasks.spawn("chaos.edge", keep(listener, edge.upstream, gate.clone(), seed, tasks.clone()));
        }
        Ok(Self { gates })
    }

    /// Has each edge follow the plan that `plan` says, its open connections at once.
    pub fn follow(&self, plan: impl Fn(&NodeName, &NodeName) -> Plan) {
        for ((from, to), gate) in &self.gates {
            let plan = plan(from, to);
            gate.plan.send_if_modified(|present| std::mem::replace(present, plan) != plan);
        }
    }

    /// Resets what is open on an edge.
    pub fn reset(&self, from: &NodeName, to: &NodeName) {
        if let Some(gate) = self.gates.get(&(from.clone(), to.clone())) {
            gate.resets.send_modify(|resets| *resets += 1);
        }
    }
}

/// Takes connections until the group stops.
async fn keep(listener: TcpListener, upstream: SocketAddr, gate: Gate, mut seed: u64, tasks: TaskGroup) {
    let stopping = tasks.stopping();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let buckets = [(); 2].map(|()| Arc::new(Mutex::new(Bucket::new(now()))));
    loop {
        let accepted = async {
            // It is never closed.
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = stopping.cancelled() => return,
        };
        let (client, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the fault proxy takes no connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        seed = seed.wrapping_add(2);
        let [there, back] = buckets.clone();
        let regime = Regime {
            upstream,
            plan: gate.plan.subscribe(),
            resets: gate.resets.subscribe(),
            there,
            back,
            seed,
        };
        let stopping = stopping.clone();
        tasks.spawn("chaos.connection", async move {
            stopping.run_until_cancelled(relay(client, regime)).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests;
