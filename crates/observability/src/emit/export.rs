//! What leaves the node: fetched from the recorder a few times a second, encoded, and sent by one loop for each
//! signal. All of it runs in the background, and every buffer on the way is bounded: what finds no room is dropped
//! and counted, and no request notices.

mod anchor;
mod attribute;
pub(super) mod destination;
mod grpc;
mod lane;
mod log;
mod metric;
mod resource;
mod span;
mod statement;
mod tier;
mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use super::Resource;
use super::recorder::{Block, Lines, Shared};
use crate::otlp::common;
use anchor::Anchor;
use destination::Destination;
use grpc::{Client, Signal};
use lane::{Batch, Lane};
use onefold_core::metrics::Metrics;
use onefold_core::{Role, TaskGroup};
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
    traces: Lane,
    logs: Lane,
    pushes: Lane,
    /// One fetches at a time.
    fetching: Mutex<()>,
}

impl Exporter {
    pub(super) fn new(shared: Arc<Shared>, resource: &Resource, metrics: Metrics) -> Self {
        let described = resource::describe(resource);
        let mut field = Wire::default();
        field.data(1, &described.encode_to_vec());
        let lane = |signal| Lane::new(signal, &shared.meters);
        Self {
            metrics,
            role: resource.role,
            resource: described,
            resource_field: field.into_bytes(),
            started: anchor::unix_nanos(shared.clock.wall()),
            traces: lane(Signal::Traces),
            logs: lane(Signal::Logs),
            pushes: lane(Signal::Metrics),
            fetching: Mutex::default(),
            shared,
        }
    }

    /// Starts to fetch and to send.
    pub(super) fn start(self: Arc<Self>, destination: &Arc<Destination>, tasks: &TaskGroup) {
        for (at, name) in ["telemetry-traces", "telemetry-logs", "telemetry-metrics"].into_iter().enumerate()
        {
            let client = match Client::new(Arc::clone(destination), self.lanes()[at].signal(), tasks.clone())
            {
                Ok(client) => client,
                Err(error) => return tracing::error!(%error, "telemetry.otlp: no address of a collector"),
            };
            let (exporter, stopping) = (Arc::clone(&self), tasks.stopping());
            tasks.spawn(name, async move {
                stopping.run_until_cancelled(exporter.lanes()[at].send(client)).await;
            });
        }
        self.shared.keeper.export();
        let stopping = tasks.stopping();
        tasks.spawn("telemetry-fetch", async move {
            stopping.run_until_cancelled(self.fetch_for_ever()).await;
        });
    }

    /// Sends what there is; answers whether all was taken in time.
    pub(super) async fn flush(&self, patience: Duration) -> bool {
        let all = async {
            self.fetch().await;
            self.push_metrics();
            for lane in self.lanes() {
                lane.drained().await;
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
        self.traces.drop_items(shards.hand_over(keeper, clock.now()));
        let (blocks, lines) = shards.take();
        self.encode_spans(&blocks).await;
        shards.take_back(blocks);
        self.encode_lines(&lines).await;
    }

    async fn encode_spans(&self, blocks: &[(usize, Block)]) {
        let spans = span::Spans { role: self.role, anchor: Anchor::new(&self.shared.clock) };
        let mut message = Message::default();
        for part in blocks.iter().flat_map(|(_, block)| block.iter()) {
            if !self.traces.has_room() {
                self.traces.drop_items(part.spans.len());
                continue;
            }
            message.items += spans.write(&mut message.body, 2, part);
            if message.body.len() >= MESSAGE_BYTES {
                self.send(&mut message, &self.traces);
                // Encoding much must not keep a worker from others' requests.
                tokio::task::yield_now().await;
            }
        }
        self.send(&mut message, &self.traces);
    }

    async fn encode_lines(&self, batches: &[Lines]) {
        let mut message = Message::default();
        for lines in batches {
            if !self.logs.has_room() {
                self.logs.drop_items(lines.len());
                continue;
            }
            message.items += log::write(&mut message.body, 2, lines);
            if message.body.len() >= MESSAGE_BYTES {
                self.send(&mut message, &self.logs);
                tokio::task::yield_now().await;
            }
        }
        self.send(&mut message, &self.logs);
    }

    /// Completes a message, and hands it to its lane.
    fn send(&self, message: &mut Message, lane: &Lane) {
        let Message { body, items } = std::mem::take(message);
        if items == 0 {
            return;
        }
        let mut request = Wire::default();
        request.message(1, |wire| {
            wire.raw(&self.resource_field);
            match lane.signal() {
                Signal::Traces => wire.message(2, |wire| {
                    wire.message(1, |wire| wire.text(1, SCOPE));
                    wire.raw(body.bytes());
                }),
                Signal::Logs | Signal::Metrics => wire.raw(body.bytes()),
            }
        });
        lane.push(Batch { message: request.into_bytes().into(), items });
    }

    fn push_metrics(&self) {
        let now = anchor::unix_nanos(self.shared.clock.wall());
        let span = metric::Span { started: self.started, now };
        let request = metric::request(self.resource.clone(), &self.metrics.snapshot(), span);
        self.pushes.replace(Batch { message: request.encode_to_vec().into(), items: 1 });
    }

    fn lanes(&self) -> [&Lane; 3] {
        [&self.traces, &self.logs, &self.pushes]
    }
}

/// A message that grows: spans, or log records in their scopes.
#[derive(Debug, Default)]
struct Message {
    body: Wire,
    items: usize,
}
