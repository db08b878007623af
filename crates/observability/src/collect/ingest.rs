//! Takes OTLP from any source: over gRPC and over HTTP, in protobuf and in JSON, with gzip or without.
//!
//! Both listeners take both. Whatever arrives is bounded before it takes memory: connections, requests under way in
//! bytes, a request's size after decompression, the time that a sender may take. A request is taken whole or not
//! at all, but for single items that are refused and counted in the answer.

mod answer;
mod body;
mod grpc;
mod http;
mod meters;
mod serve;
mod signal;

pub(super) use answer::Refusal;
pub(crate) use serve::serve;
pub(crate) use signal::Signal;

use super::intake::Intake;
use super::logs::{self, Logs};
use super::samples::Samples;
use super::spans::{self, Spans};
use super::{Accepted, Config};
use crate::otlp::metrics::MetricsData;
use ::http::HeaderMap;
use body::Budget;
use bytes::Bytes;
use meters::Meters;
use onefold_core::metrics::Metrics;
use prost::Message as _;
use std::sync::Arc;

/// Requests under way, in bytes, over all connections.
const BUDGET_BYTES: u64 = 48 << 20;

/// What takes requests. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Ingest {
    spans: Spans,
    logs: Logs,
    samples: Samples,
    config: Arc<Config>,
    budget: Budget,
    meters: Arc<Meters>,
}

impl Ingest {
    pub(crate) fn new(config: Config, spans: Spans, logs: Logs, samples: Samples, metrics: &Metrics) -> Self {
        let (budget, meters) = (Budget::new(BUDGET_BYTES), Arc::new(Meters::new(metrics)));
        Self { spans, logs, samples, config: Arc::new(config), budget, meters }
    }

    /// Takes a request that has been read, in protobuf.
    fn take(&self, signal: Signal, body: &Bytes) -> Result<Accepted, Refusal> {
        let taken = self.hand_over(signal, body);
        self.meters.count(signal, &taken);
        taken
    }

    pub(super) fn hand_over(&self, signal: Signal, body: &Bytes) -> Result<Accepted, Refusal> {
        match signal {
            Signal::Traces => {
                let intake = Intake::read(body, spans::judge)?;
                let accepted = accepted(&intake);
                self.spans.offer(intake)?;
                Ok(accepted)
            }
            Signal::Logs => {
                let intake = Intake::read(body, logs::judge)?;
                let accepted = accepted(&intake);
                self.logs.offer(intake)?;
                Ok(accepted)
            }
            Signal::Metrics => {
                let data = MetricsData::decode(body.as_ref()).map_err(|error| Refusal::malformed(&error))?;
                Ok(self.samples.write(&data.resource_metrics)?)
            }
        }
    }

    /// Whether the sender may write.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = &self.config.ingest_key else { return Ok(()) };
        let shown = headers.get(::http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if same(shown.as_bytes(), key.expose().as_bytes()) { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }
}

fn accepted<K>(intake: &Intake<K>) -> Accepted {
    Accepted {
        accepted: intake.items.len() as u64,
        rejected: intake.rejected,
        why: intake.why.unwrap_or_default().to_owned(),
    }
}

/// Compares in a time that does not tell how much is right.
fn same(shown: &[u8], wanted: &[u8]) -> bool {
    let differs = shown.iter().zip(wanted).fold(0, |differs, (one, other)| differs | (one ^ other));
    shown.len() == wanted.len() && differs == 0
}

#[cfg(test)]
mod tests;
