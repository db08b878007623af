//! Which metrics tell of which edges.

use super::super::picture::EdgeKind;

/// One kind of traffic, and the metrics that count it.
pub(super) struct Flow {
    pub(super) kind: EdgeKind,
    /// The labels that tell edges apart.
    pub(super) by: &'static str,
    pub(super) ends: Ends,
    /// The counter of everything that went.
    pub(super) count: &'static str,
    /// The counter of what failed.
    pub(super) errors: Option<&'static str>,
    /// The histogram of its time.
    pub(super) latency: Option<&'static str>,
}

/// Between whom, as far as the labels say.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    BalancerToNode,
    NodeToServer,
    NodeToPrimary,
    PrimaryToNode,
}

pub(super) const FLOWS: [Flow; 5] = [
    Flow {
        kind: EdgeKind::Http,
        by: "node",
        ends: Ends::BalancerToNode,
        count: "onefold_app_request_seconds_count",
        errors: Some("onefold_app_request_seconds_count{status=\"5xx\"}"),
        latency: Some("onefold_app_request_seconds"),
    },
    Flow {
        kind: EdgeKind::Sql,
        by: "node, server",
        ends: Ends::NodeToServer,
        count: "onefold_database_query_seconds_count",
        errors: Some("onefold_database_query_errors_total"),
        latency: Some("onefold_database_query_seconds"),
    },
    // The shared level stands in the primary, and so does the queue.
    Flow {
        kind: EdgeKind::Cache,
        by: "node",
        ends: Ends::NodeToPrimary,
        count: "onefold_cache_hits_total{level=\"l2\"}",
        errors: None,
        latency: None,
    },
    Flow {
        kind: EdgeKind::Queue,
        by: "node",
        ends: Ends::NodeToPrimary,
        count: "onefold_queue_enqueued_total",
        errors: None,
        latency: None,
    },
    Flow {
        kind: EdgeKind::Queue,
        by: "node",
        ends: Ends::PrimaryToNode,
        count: "onefold_queue_run_seconds_count",
        errors: Some("onefold_queue_failed_total"),
        latency: Some("onefold_queue_run_seconds"),
    },
];
