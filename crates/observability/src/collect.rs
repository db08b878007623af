//! The observer's half: takes telemetry from any OpenTelemetry source, keeps it within its bounds, answers
//! questions about it.
//!
//! All that telemetry brings is data: names, attributes and bodies are bounded when they are taken, and escaped by
//! whoever shows them.

pub mod alerts;
mod api;
mod block;
mod collector;
mod config;
mod error;
mod gather;
mod gauges;
mod ingest;
mod intake;
mod json;
mod ledger;
pub mod logs;
pub mod promql;
mod retention;
pub mod samples;
pub(crate) mod segment;
mod source;
pub mod spans;
#[cfg(test)]
mod testing;
mod value;
mod wire;
pub(crate) mod writer;

pub use alerts::Alerts;
pub use collector::Collector;
pub use config::Config;
pub use error::Error;
pub use logs::Logs;
pub use retention::Retention;
pub use samples::{Accepted, Samples};
pub use spans::Spans;
