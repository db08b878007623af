//! What the configuration service shows of itself on a node.

use onefold_core::metrics::{Counter, Gauge, Histogram, Metrics};

/// Handles, resolved once.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(crate) call_seconds: Histogram,
    pub(crate) call_errors: Counter,
    pub(crate) away: Gauge,
    pub(crate) revision: Gauge,
    pub(crate) behind: Gauge,
    pub(crate) snapshot_age: Gauge,
    pub(crate) relisted: Counter,
    pub(crate) members: Gauge,
    pub(crate) broken_flags: Gauge,
    pub(crate) leases_held: Gauge,
    pub(crate) leases_lost: Counter,
    pub(crate) elections_won: Counter,
    metrics: Metrics,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        let counter = |name, help| metrics.counter(name, help, &[]);
        Self {
            call_seconds: metrics.latency(
                "onefold_coordination_call_seconds",
                "Calls to the engine: reads of the watch, leases, changes",
                &[],
            ),
            call_errors: counter(
                "onefold_coordination_call_errors",
                "Calls that the engine did not answer, or refused",
            ),
            away: gauge("onefold_coordination_away", "1 while the configuration service does not answer"),
            revision: gauge("onefold_coordination_revision", "The revision that this node runs"),
            behind: gauge(
                "onefold_coordination_watch_lag_revisions",
                "Revisions of the store that this node has not applied yet",
            ),
            snapshot_age: gauge(
                "onefold_coordination_snapshot_age_seconds",
                "Time since the snapshot was last known to be the newest",
            ),
            relisted: counter(
                "onefold_coordination_relisted",
                "Times the watch listed everything, at the start and after a compaction or a failover",
            ),
            members: gauge("onefold_coordination_members", "Nodes that are registered"),
            broken_flags: gauge(
                "onefold_coordination_broken_flags",
                "Stored flags that this node cannot read: their last good version is served",
            ),
            leases_held: gauge("onefold_coordination_leases_held", "Locks and leaderships held by this node"),
            leases_lost: counter(
                "onefold_coordination_leases_lost",
                "Locks and leaderships that ended before they were given back",
            ),
            elections_won: counter("onefold_coordination_elections_won", "Times this node became a leader"),
            metrics: metrics.clone(),
        }
    }

    /// Whether this node leads an election.
    pub(crate) fn leads(&self, election: &str, leads: bool) {
        let help = "1 on the node that leads the election";
        let gauge = self.metrics.gauge("onefold_coordination_leader", help, &[("election", election)]);
        gauge.set(if leads { 1.0 } else { 0.0 });
    }
}
