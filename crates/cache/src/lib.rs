//! Distributed cache.
