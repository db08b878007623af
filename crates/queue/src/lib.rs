//! Message queue and workers.
