//! Distributed cache.

pub mod decision;
