//! What leaves the node: fetched from the recorder a few times a second, encoded once, and sent by one loop for each
//! signal and collector. All of it runs in the background, and every buffer on the way is bounded: what finds no room is dropped
//! and counted, and no request notices.

mod anchor;
mod attribute;
pub(super) mod destination;
mod grpc;
mod lane;
mod log;
mod metric;
mod outlet;
mod resource;
mod span;
mod statement;
mod tier;
mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use super::recorder::{Block, Lines, Shared};
use super::{Config, Resource};
use crate::otlp::common;
use anchor::Anchor;
use grpc::Signal;
use lane::Batch;
use onefold_core::metrics::Metrics;
use onefold_core::topology::Fault;
use onefold_core::{Role, TaskGroup};
use outlet::{Outlet, Outlets};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wire::Wire;

/// How often what is ready is fetched.
const FETCH_EVERY: Duration = Duration::from_millis(200);
/// Where something must go earlier, so long is waited for more of it.
const GATHER: Duration = Duration::from_millis(20);
/// How often metrics are pushed: the picture of the system is drawn from them.
const PUSH_EVERY: Duration = Duration::from_secs(1);
/// What all spans are said to be instrumented by.
const SCOPE: &str = "onefold";
/// A message is sent when it has grown to this, in bytes: far below gRPC's usual bound of 4 MiB.
const MESSAGE_BYTES: usize = 512 << 10;

/// Sends what the recorder has.
#[derive(Debug)]
pub(super) struct Exporter {
    shared: Arc<Shared>,
    metrics: Metrics,
    role: Role,
    resource: common::Resource,
    /// The resource as a field of a message.
    resource_field: Vec<u8>,
    started: u64,
    outlets: Outlets,
    /// One fetches at a time.
    fetching: Mutex<()>,
}

impl Exporter {
    /// # Errors
    /// Where a collector cannot be spoken to as it is configured.
    pub(super) fn new(
        shared: Arc<Shared>,
        resource: &Resource,
        config: &Config,
        metrics: Metrics,
    ) -> Result<Self, Fault> {
        let described = resource::describe(resource);
        let mut field = Wire::default();
        field.data(1, &described.encode_to_vec());
        let outlets = config.collectors()?;
        let outlets: Result<_, Fault> =
            outlets.iter().map(|collector| Outlet::of(collector, &metrics)).collect();
        Ok(Self {
            metrics,
            role: resource.role,
            resource: described,
            resource_field: field.into_bytes(),
            started: anchor::unix_nanos(shared.clock.wall()),
            outlets: Outlets(outlets?),
            fetching: Mutex::default(),
            shared,
        })
    }

    /// Starts to fetch and to send.
    pub(super) fn start(self: Arc<Self>, tasks: &TaskGroup) {
        for outlet in &self.outlets.0 {
            outlet.start(tasks);
        }
        self.shared.keeper.export();
        let stopping = tasks.stopping();
        tasks.spawn("telemetry-fetch", async move {
            stopping.run_until_cancelled(self.fetch_for_ever()).await;
        });
    }

    /// Sends what there is; answers whether all was taken in time.
    pub(super) async fn flush(&self, patience: Duration) -> bool {
        // Not within the time: what it had taken would be lost if it were cut off. It waits for nobody.
        self.fetch().await;
        self.push_metrics();
        let all = async {
            for outlet in &self.outlets.0 {
                outlet.drained().await;
            }
        };
        tokio::time::timeout(patience, all).await.is_ok()
    }

    async fn fetch_for_ever(&self) {
        let mut pushed = None;
        loop {
            let news = self.shared.keeper.news.notified();
            if tokio::time::timeout(FETCH_EVERY, news).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
            self.fetch().await;
            let now = self.shared.clock.now();
            self.shared.keeper.forget(now);
            if pushed.is_none_or(|pushed| now.saturating_duration_since(pushed) >= PUSH_EVERY) {
                self.push_metrics();
                pushed = Some(now);
            }
        }
    }

    /// Fetches what is ready, and makes messages of it.
    async fn fetch(&self) {
        let _fetching = self.fetching.lock().await;
        let Shared { shards, keeper, clock, .. } = &*self.shared;
        self.shared.meters.dropped_spans.inc_by(shards.hand_over(keeper, clock.now()) as u64);
        let (blocks, lines) = shards.take();
        self.encode_spans(&blocks).await;
        shards.take_back(blocks);
        self.encode_lines(&lines).await;
    }

    async fn encode_spans(&self, blocks: &[(usize, Block)]) {
        let spans = span::Spans { role: self.role, anchor: Anchor::new(&self.shared.clock) };
        let mut message = Message::default();
        for part in blocks.iter().flat_map(|(_, block)| block.iter()) {
            if !self.outlets.have_room(Signal::Traces) {
                self.outlets.drop_items(Signal::Traces, part.spans.len());
                continue;
            }
            message.items += spans.write(&mut message.body, 2, part);
            if message.body.len() >= MESSAGE_BYTES {
                self.send(&mut message, Signal::Traces);
                // Encoding much must not keep a worker from others' requests.
                tokio::task::yield_now().await;
            }
        }
        self.send(&mut message, Signal::Traces);
    }

    async fn encode_lines(&self, batches: &[Lines]) {
        let mut message = Message::default();
        for lines in batches {
            if !self.outlets.have_room(Signal::Logs) {
                self.outlets.drop_items(Signal::Logs, lines.len());
                continue;
            }
            message.items += log::write(&mut message.body, 2, lines);
            if message.body.len() >= MESSAGE_BYTES {
                self.send(&mut message, Signal::Logs);
                tokio::task::yield_now().await;
            }
        }
        self.send(&mut message, Signal::Logs);
    }

    /// Completes a message, and hands it to all collectors.
    fn send(&self, message: &mut Message, signal: Signal) {
        let Message { body, items } = std::mem::take(message);
        if items == 0 {
            return;
        }
        let mut request = Wire::default();
        request.message(1, |wire| {
            wire.raw(&self.resource_field);
            match signal {
                Signal::Traces => wire.message(2, |wire| {
                    wire.message(1, |wire| wire.text(1, SCOPE));
                    wire.raw(body.bytes());
                }),
                Signal::Logs | Signal::Metrics => wire.raw(body.bytes()),
            }
        });
        self.outlets.push(signal, &Batch { message: request.into_bytes().into(), items });
    }

    fn push_metrics(&self) {
        let now = anchor::unix_nanos(self.shared.clock.wall());
        let span = metric::Span { started: self.started, now };
        let request = metric::request(self.resource.clone(), &self.metrics.snapshot(), span);
        self.outlets.replace(Signal::Metrics, &Batch { message: request.encode_to_vec().into(), items: 1 });
    }
}

/// A message that grows: spans, or log records in their scopes.
#[derive(Debug, Default)]
struct Message {
    body: Wire,
    items: usize,
}
