//! The observability platform: what every node emits. Only the facade knows this crate; tiers speak `tracing`
//! and hold metric handles of `core`.

pub mod emit;
