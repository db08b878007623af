//! The observer's half: takes telemetry from any OpenTelemetry source, keeps it within its bounds, answers
//! questions about it.
//!
//! All that telemetry brings is data: names, attributes and bodies are bounded when they are taken, and escaped by
//! whoever shows them.
#![expect(dead_code, reason = "the stores of spans, logs and samples stand on it, and come next")]

mod config;
mod error;
pub mod promql;
pub mod samples;
pub(crate) mod segment;
pub(crate) mod writer;

pub use config::Config;
pub use error::Error;
pub use samples::Samples;
