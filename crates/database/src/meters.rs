//! This tier's metrics, resolved once.

use onefold_core::NodeName;
use onefold_core::metrics::{Counter, Histogram, Metrics};
use std::sync::OnceLock;
use std::time::Duration;

/// What is counted of the statements of one server, as what it serves.
#[derive(Debug)]
pub(crate) struct Queries {
    seconds: Histogram,
    errors: Counter,
}

/// A server's counters, resolved when it first serves as the one or the other: a standby is no primary that ran
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Served {
    primary: OnceLock<Queries>,
    replica: OnceLock<Queries>,
}

impl Served {
    pub(crate) fn as_primary(&self, meters: &Meters, server: &NodeName) -> &Queries {
        self.primary.get_or_init(|| meters.queries(server, "primary"))
    }

    pub(crate) fn as_replica(&self, meters: &Meters, server: &NodeName) -> &Queries {
        self.replica.get_or_init(|| meters.queries(server, "replica"))
    }
}

impl Queries {
    /// Counts a statement.
    pub(crate) fn count<T, E>(&self, took: Duration, outcome: &Result<T, E>) {
        self.seconds.observe(took.as_secs_f64());
        if outcome.is_err() {
            self.errors.inc();
        }
    }
}

/// Handles for the hot paths.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) reads_replica: Counter,
    pub(crate) reads_primary: Counter,
    /// Reads that a replica was to serve and the primary did, by reason.
    pub(crate) fallbacks_lag: Counter,
    pub(crate) fallbacks_unproven: Counter,
    pub(crate) fallbacks_absent: Counter,
    pub(crate) gates: Counter,
    pub(crate) unsettled: Counter,
    pub(crate) retries: Counter,
    pub(crate) retries_denied: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) maybe_committed: Counter,
    pub(crate) effects_late: Counter,
    metrics: Metrics,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let read = |server| {
            metrics.counter(
                "onefold_database_reads",
                "Reads by the server that answered.",
                &[("server", server)],
            )
        };
        let fallback = |reason| {
            let help = "Reads that the primary served although a replica might have, by reason.";
            metrics.counter("onefold_database_fallbacks", help, &[("reason", reason)])
        };
        let count = |name, help| metrics.counter(name, help, &[]);
        Self {
            reads_replica: read("replica"),
            reads_primary: read("primary"),
            fallbacks_lag: fallback("lag"),
            fallbacks_unproven: fallback("unproven_token"),
            fallbacks_absent: fallback("no_replica"),
            gates: count("onefold_database_gates", "Reads that asked a replica for its position first."),
            unsettled: count(
                "onefold_database_reads_unsettled",
                "Reads by the primary of what a replica may have shown first, while transactions were open.",
            ),
            retries: count("onefold_database_read_retries", "Reads tried again on another server."),
            retries_denied: count(
                "onefold_database_read_retries_denied",
                "Reads that were not tried again since the budget was used up.",
            ),
            commit_seconds: metrics.latency(
                "onefold_database_commit_seconds",
                "From the COMMIT to its answer, with the wait for the standby.",
                &[],
            ),
            maybe_committed: count("onefold_database_maybe_committed", "Commits whose outcome is not known."),
            effects_late: count(
                "onefold_database_effects_late",
                "Commits answered before all effects were in force.",
            ),
            metrics: metrics.clone(),
        }
    }

    fn queries(&self, server: &NodeName, role: &'static str) -> Queries {
        let labels = [("server", server.as_str()), ("role", role)];
        let help = "From a statement's start to its rows, with the wait for a connection and for a position.";
        let seconds = self.metrics.latency("onefold_database_query_seconds", help, &labels);
        let errors =
            self.metrics.counter("onefold_database_query_errors", "Statements that failed.", &labels);
        Queries { seconds, errors }
    }
}
