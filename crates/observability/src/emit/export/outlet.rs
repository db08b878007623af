//! One collector: where it is, and what waits for it. Collectors share the encoded messages and nothing else, so that
//! one that is slow or away costs the others nothing.

use super::destination::Destination;
use super::grpc::{Client, Signal};
use super::lane::{Batch, Lane};
use crate::emit::config::Collector;
use onefold_core::TaskGroup;
use onefold_core::metrics::Metrics;
use onefold_core::topology::Fault;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Outlet {
    destination: Arc<Destination>,
    lanes: [Arc<Lane>; 3],
}

impl Outlet {
    /// # Errors
    /// Where the collector cannot be spoken to as it is configured.
    pub(super) fn of(collector: &Collector, metrics: &Metrics) -> Result<Self, Fault> {
        let destination = Arc::new(Destination::of(collector)?);
        let lane = |signal| Arc::new(Lane::new(signal, &destination.authority, metrics));
        let lanes = [Signal::Traces, Signal::Logs, Signal::Metrics].map(lane);
        Ok(Self { destination, lanes })
    }

    /// Starts to send what waits.
    pub(super) fn start(&self, tasks: &TaskGroup) {
        for lane in &self.lanes {
            let client = match Client::new(Arc::clone(&self.destination), lane.signal(), tasks.clone()) {
                Ok(client) => client,
                Err(error) => return tracing::error!(%error, "telemetry.otlp: no address of a collector"),
            };
            let (lane, stopping) = (Arc::clone(lane), tasks.stopping());
            tasks.spawn(lane.signal().task(), async move {
                stopping.run_until_cancelled(lane.send(client)).await;
            });
        }
    }

    /// Returns once nothing waits and nothing is on its way.
    pub(super) async fn drained(&self) {
        for lane in &self.lanes {
            lane.drained().await;
        }
    }
}

/// What is done for all collectors alike.
#[derive(Debug)]
pub(super) struct Outlets(pub(super) Vec<Outlet>);

impl Outlets {
    /// Whether anybody has room for more. Where nobody has, nothing should be encoded.
    pub(super) fn have_room(&self, signal: Signal) -> bool {
        self.lanes(signal).any(Lane::has_room)
    }

    /// Hands everybody a message; who has no room misses it, and that is counted.
    pub(super) fn push(&self, signal: Signal, batch: &Batch) {
        self.lanes(signal).for_each(|lane| lane.push(batch.clone()));
    }

    /// The same, in the place of what waits.
    pub(super) fn replace(&self, signal: Signal, batch: &Batch) {
        self.lanes(signal).for_each(|lane| lane.replace(batch.clone()));
    }

    /// Counts what nobody will get.
    pub(super) fn drop_items(&self, signal: Signal, items: usize) {
        self.lanes(signal).for_each(|lane| lane.drop_items(items));
    }

    fn lanes(&self, signal: Signal) -> impl Iterator<Item = &Lane> {
        let lanes = self.0.iter().flat_map(|outlet| &outlet.lanes);
        lanes.map(|lane| &**lane).filter(move |lane| lane.signal() == signal)
    }
}
