//! What the node holds of its telemetry: it starts the export, hands over what the ring has of a trace, and flushes.

use super::export::Exporter;
use super::recorder::{Kept, Shared};
use super::{Config, Resource};
use onefold_core::metrics::Metrics;
use onefold_core::topology::Fault;
use onefold_core::{TaskGroup, TraceId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// This process's telemetry. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Emitter {
    shared: Arc<Shared>,
    exporter: Option<Arc<Exporter>>,
    metrics: Metrics,
}

impl Emitter {
    pub(super) fn new(
        shared: Arc<Shared>,
        resource: &Resource,
        config: &Config,
        metrics: &Metrics,
    ) -> Result<Self, Fault> {
        let exporter = || Exporter::new(Arc::clone(&shared), resource, config, metrics.clone()).map(Arc::new);
        Ok(Self {
            exporter: config.is_exported().then(exporter).transpose()?,
            metrics: metrics.clone(),
            shared,
        })
    }

    /// Starts to send, if the configuration says where to. Call it once, within the node's runtime. The tasks should
    /// be stopped last, so that the others can still tell of their end.
    pub fn start(&self, tasks: &TaskGroup) {
        super::process::register_runtime(&self.metrics);
        if let Some(exporter) = &self.exporter {
            Arc::clone(exporter).start(tasks);
        }
    }

    /// Sends what this node has of traces that another node found worth keeping, and what it will have of them in
    /// the next seconds. Unknown ones cost nothing.
    pub fn keep(&self, traces: &[TraceId]) {
        self.shared.keeper.want(traces, Kept::Asked, self.shared.clock.now());
    }

    /// Traces that failed or were slow here, though nobody had sampled them: to be asked for on the other nodes.
    /// Whoever asked before gets no more. A receiver that is slow misses some.
    pub fn triggered(&self) -> mpsc::Receiver<TraceId> {
        self.shared.keeper.triggered()
    }

    /// Sends what waits; answers whether all collectors took it within `patience`.
    pub async fn flush(&self, patience: Duration) -> bool {
        match &self.exporter {
            Some(exporter) => exporter.flush(patience).await,
            None => true,
        }
    }
}
