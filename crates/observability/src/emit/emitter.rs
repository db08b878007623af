//! What the node holds of its telemetry: it starts the export, hands over what the ring has of a trace, and flushes.

use onefold_core::{TaskGroup, TraceId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Traces that wait to be asked for elsewhere; beyond that they are not.
const TRIGGERED_MAX: usize = 256;

/// This process's telemetry. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Emitter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    triggered: Mutex<Option<mpsc::Sender<TraceId>>>,
}

impl Emitter {
    /// Starts to send. The tasks should be stopped last, so that the others can still tell of their end.
    pub fn start(&self, _tasks: &TaskGroup) {}

    /// Sends what this node has of traces that another node found worth keeping, and what it will have of them in
    /// the next seconds. Unknown ones cost nothing.
    pub fn keep(&self, _traces: &[TraceId]) {}

    /// Traces that failed or were slow here, though nobody had sampled them: to be asked for on the other nodes.
    /// Whoever asked before gets no more. A receiver that is slow misses some.
    pub fn triggered(&self) -> mpsc::Receiver<TraceId> {
        let (sender, receiver) = mpsc::channel(TRIGGERED_MAX);
        *self.0.triggered.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Sends what waits; answers whether all was taken within `patience`.
    #[expect(clippy::unused_async, reason = "nothing is sent yet")]
    pub async fn flush(&self, _patience: Duration) -> bool {
        true
    }
}
