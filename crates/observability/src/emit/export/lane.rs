//! One signal's way to one collector: messages that wait, bounded by bytes, and the loop that sends them one after the other.

use super::grpc::{Client, Refusal, Signal};
use crate::emit::meters::LaneMeters;
use bytes::Bytes;
use onefold_core::metrics::Metrics;
use onefold_core::retry::Backoff;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Messages of one signal that may wait, in bytes: some seconds of a busy node while the collector restarts.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// While the collector is away. Short, since many nodes start before the observer.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// An encoded request.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) message: Bytes,
    /// Spans, log records, or one push of metrics.
    pub(super) items: usize,
}

#[derive(Debug)]
pub(super) struct Lane {
    signal: Signal,
    /// Whose it is, for log lines.
    collector: String,
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// How many wait or are on their way.
    left: watch::Sender<usize>,
    meters: LaneMeters,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Lane {
    pub(super) fn new(signal: Signal, collector: &str, metrics: &Metrics) -> Self {
        Self {
            signal,
            collector: collector.to_owned(),
            waiting: Mutex::default(),
            filled: Notify::new(),
            left: watch::Sender::new(0),
            meters: LaneMeters::new(metrics, signal.label(), collector),
        }
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    /// Whether more may wait. Where not, nothing should be encoded.
    pub(super) fn has_room(&self) -> bool {
        self.waiting().bytes < WAITING_BYTES_MAX
    }

    /// Adds a message; it is dropped and counted where there is no room.
    pub(super) fn push(&self, batch: Batch) {
        let mut waiting = self.waiting();
        if waiting.bytes + batch.message.len() > WAITING_BYTES_MAX {
            drop(waiting);
            return self.drop_items(batch.items);
        }
        waiting.bytes += batch.message.len();
        waiting.batches.push_back(batch);
        drop(waiting);
        self.left.send_modify(|left| *left += 1);
        self.filled.notify_one();
    }

    /// Puts a message in the place of all that wait. It says what they say, and more: they are not dropped, since
    /// nothing of theirs is lost.
    pub(super) fn replace(&self, batch: Batch) {
        let outdated = std::mem::take(&mut *self.waiting());
        self.left.send_modify(|left| *left -= outdated.batches.len());
        self.push(batch);
    }

    pub(super) fn drop_items(&self, items: usize) {
        self.meters.dropped.inc_by(items as u64);
    }

    /// Returns once nothing waits and nothing is on its way.
    pub(super) async fn drained(&self) {
        // The sender of the count is ours, and alive.
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }

    /// Sends for ever.
    pub(super) async fn send(&self, mut client: Client) {
        let (mut failed, mut is_away, collector) = (0, false, self.collector.as_str());
        loop {
            let Some(batch) = self.take() else {
                self.filled.notified().await;
                continue;
            };
            match client.export(batch.message.clone()).await {
                Ok(rejected) => {
                    if std::mem::take(&mut is_away) {
                        tracing::info!(signal = ?self.signal, collector, "telemetry is sent again");
                    }
                    failed = 0;
                    self.settle(&batch, rejected);
                }
                Err(Refusal::Never { status, message }) => {
                    self.meters.failures.inc();
                    tracing::warn!(signal = ?self.signal, collector, status, "telemetry is refused: {message}");
                    self.settle(&batch, batch.items as u64);
                }
                Err(Refusal::Later(why)) => {
                    self.meters.failures.inc();
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::info!(signal = ?self.signal, collector, "telemetry waits: {why}");
                    }
                    self.put_back(batch);
                    let delay = BACKOFF.delay(failed, &mut rand::rng());
                    tokio::time::sleep(delay).await;
                    failed = failed.saturating_add(1);
                }
            }
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting();
        let batch = waiting.batches.pop_front()?;
        waiting.bytes -= batch.message.len();
        Some(batch)
    }

    fn put_back(&self, batch: Batch) {
        let mut waiting = self.waiting();
        waiting.bytes += batch.message.len();
        waiting.batches.push_front(batch);
    }

    fn settle(&self, batch: &Batch, rejected: u64) {
        let taken = (batch.items as u64).saturating_sub(rejected);
        self.meters.dropped.inc_by(rejected);
        if let Some(sent) = &self.meters.sent {
            sent.inc_by(taken);
        }
        self.left.send_modify(|left| *left -= 1);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize, items: usize) -> Batch {
        Batch { message: Bytes::from(vec![0; bytes]), items }
    }

    #[test]
    fn a_full_lane_drops_what_comes_and_counts_it() {
        let lane = Lane::new(Signal::Traces, "a:1", &Metrics::new());
        lane.push(batch(WAITING_BYTES_MAX - 1, 3));
        assert!(lane.has_room());
        lane.push(batch(2, 5));
        assert_eq!(lane.meters.dropped.get(), 5);
        lane.push(batch(1, 1));
        assert!(!lane.has_room());
        assert_eq!(lane.waiting().batches.len(), 2);
    }

    #[test]
    fn a_push_of_metrics_takes_the_place_of_those_that_wait_and_none_is_lost() {
        let lane = Lane::new(Signal::Metrics, "a:1", &Metrics::new());
        for _ in 0..5 {
            lane.replace(batch(10, 1));
        }
        let (batches, bytes) = {
            let waiting = lane.waiting();
            (waiting.batches.len(), waiting.bytes)
        };
        assert_eq!((batches, bytes, *lane.left.borrow()), (1, 10, 1));
        assert_eq!(lane.meters.dropped.get(), 0);
    }
}
