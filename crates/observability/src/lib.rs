//! Metrics, traces and logs: emitted by every node.
