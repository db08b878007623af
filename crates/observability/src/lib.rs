//! The observability platform: what every node emits, and what the observer collects. Only the facade knows this
//! crate; tiers speak `tracing` and hold metric handles of `core`.

pub mod collect;
pub mod emit;
pub mod otlp;
#[cfg(test)]
mod tls_testing;
