//! The stores of all signals, what takes them, and what answers from them.

use super::ingest::{self, Ingest};
use super::segment::Bounds;
use super::{Alerts, Config, Error, Logs, Retention, Samples, Spans, alerts, api, gauges};
use axum::Router;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Everything that the observer collects. Cloning is cheap.
#[derive(Clone)]
pub struct Collector {
    spans: Spans,
    logs: Logs,
    samples: Samples,
    alerts: Alerts,
    ingest: Ingest,
    tasks: TaskGroup,
}

impl Collector {
    /// Opens the stores in `directory`, or makes them, and starts to evaluate the rules of alerts.
    ///
    /// # Errors
    /// [`Error`], where a directory or file cannot be used, or a rule is wrong.
    pub fn open(
        config: Config,
        directory: &Path,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: &Clock,
    ) -> Result<Self, Error> {
        // Spans are the most, and of the most use.
        let share = |of: u64| Bounds { bytes_max: config.bytes_max / of, age_max: config.age_max };
        let spans = Spans::open(&directory.join("spans"), share(2), clock.clone())?;
        let logs = Logs::open(&directory.join("logs"), share(4), clock.clone())?;
        let samples = Samples::open(&directory.join("samples"), share(4), clock.clone())?;
        let receiver = config.webhook.clone().map(|webhook| webhook.receiver(config.webhook_ca.as_deref()));
        let settings = alerts::Settings {
            rules: config.rules.clone(),
            receiver: receiver.transpose().map_err(Error::Receiver)?,
            external_url: config.external_url.clone(),
        };
        let alerts = Alerts::open(settings, directory, samples.clone(), clock.clone())?;
        alerts.start(tasks);
        let ingest = Ingest::new(config, spans.clone(), logs.clone(), samples.clone(), metrics);
        gauges::expose(&spans, &logs, &samples, metrics);
        Ok(Self { spans, logs, samples, alerts, ingest, tasks: tasks.clone() })
    }

    /// The store of spans.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// The store of log lines.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The store of samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The alerts.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Takes OTLP on the port where gRPC is expected until `stopping`; OTLP over HTTP is understood there too.
    pub async fn serve_grpc(&self, listener: TcpListener, stopping: CancellationToken) {
        ingest::serve(listener, self.ingest.clone(), self.tasks.clone(), stopping).await;
    }

    /// Takes OTLP on the port where HTTP is expected until `stopping`; gRPC is understood there too.
    pub async fn serve_http(&self, listener: TcpListener, stopping: CancellationToken) {
        ingest::serve(listener, self.ingest.clone(), self.tasks.clone(), stopping).await;
    }

    /// The reads of traces, logs, metrics, alerts and retention, and those of Prometheus' API. Whoever serves them checks who asks.
    pub fn router(&self) -> Router {
        api::router(self)
    }

    /// What is kept of each signal, and within which bounds.
    pub fn retention(&self) -> Vec<Retention> {
        vec![self.spans.retention(), self.logs.retention(), self.samples.retention()]
    }

    /// Waits until all that was taken before is on disk and can be found.
    pub async fn flush(&self) {
        tokio::join!(self.spans.flush(), self.logs.flush(), self.samples.flush());
    }

    /// Commits everything and ends the writers; what comes later is refused.
    pub async fn close(&self) {
        let (spans, logs, samples) = (self.spans.clone(), self.logs.clone(), self.samples.clone());
        // A writer is waited for, which blocks.
        let ended = tokio::task::spawn_blocking(move || {
            spans.end();
            logs.end();
            samples.end();
        });
        let _ = ended.await;
    }
}

#[cfg(test)]
impl Collector {
    pub(crate) fn take_traces(&self, body: &bytes::Bytes) {
        self.ingest.hand_over(ingest::Signal::Traces, body).unwrap();
    }

    pub(crate) fn take_logs(&self, body: &bytes::Bytes) {
        self.ingest.hand_over(ingest::Signal::Logs, body).unwrap();
    }
}
