//! What every node tells of itself: log lines, the spans of its requests, and its metrics.
//!
//! A subscriber of our own records spans into memory; whether they leave the node is decided at the root of a trace,
//! or afterwards, where a request failed or was slow. What leaves goes by OTLP to each collector, from tasks in the
//! background: a request never waits for it.

mod config;
mod emitter;
mod export;
mod fields;
mod filter;
mod keeper;
mod line;
mod meters;
mod packed;
mod process;
mod recorder;
mod redaction;
mod resource;
mod semantics;

pub use config::{Collector, Collectors, Config};
pub use emitter::Emitter;
pub use resource::Resource;

use filter::Filter;
use line::Writer;
use meters::Meters;
use onefold_core::Clock;
use onefold_core::metrics::Metrics;
use onefold_core::topology::Fault;
use recorder::{Recorder, Shared};
use redaction::Redaction;
use std::sync::Arc;
use tracing_subscriber::filter::ParseError;

/// The subscriber could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The filter is none.
    #[error(
        "telemetry.log: `{filter}` is no filter of log lines: write a level, or target=level, as in info,onefold_queue=debug"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What the parser says.
        source: ParseError,
    },
    /// The collector's certificate could not be checked, or a header not be sent.
    #[error("{0}")]
    Collector(Fault),
    /// Another subscriber is there already.
    #[error("a tracing subscriber is installed already: leave that to the node")]
    Installed,
}

/// Installs the subscriber of this process, which writes to standard error: the supervisor, or the service
/// manager of a machine, keeps it as the node's log.
///
/// # Errors
/// [`EmitError`], where the filter does not parse, the file of an authority cannot be used, or a subscriber is there
/// already.
pub fn install(
    resource: &Resource,
    config: &Config,
    metrics: &Metrics,
    clock: Clock,
) -> Result<Emitter, EmitError> {
    onefold_core::trace::set_sampled_share(config.sample);
    let (recorder, emitter) = build(resource, config, metrics, clock, Writer::to_stderr)?;
    process::register(metrics, &resource.version, resource.role, &Clock::system());
    tracing::subscriber::set_global_default(recorder).map_err(|_| EmitError::Installed)?;
    Ok(emitter)
}

fn build(
    resource: &Resource,
    config: &Config,
    metrics: &Metrics,
    clock: Clock,
    out: fn(&[u8]),
) -> Result<(Recorder, Emitter), EmitError> {
    let filter = Filter::parse(&config.log, config.is_exported())?;
    let shared = Arc::new(Shared::new(config, Meters::new(metrics), clock));
    let (redaction, writer) = (Redaction::new(&config.redact), Writer::new(resource, out));
    let recorder = Recorder::new(Arc::clone(&shared), filter, redaction, writer);
    let emitter = Emitter::new(shared, resource, config, metrics).map_err(EmitError::Collector)?;
    Ok((recorder, emitter))
}

#[cfg(test)]
mod tests;
