//! Which metrics tell of which edges.

use super::super::picture::EdgeKind;

/// One kind of traffic, and the expressions that measure it over the last minute.
pub(super) struct Flow {
    pub(super) kind: EdgeKind,
    pub(super) ends: Ends,
    /// How much goes, a second.
    pub(super) rate: String,
    /// The share that failed.
    pub(super) share: Option<String>,
    /// p50, p95, p99 of its time, in seconds.
    pub(super) quantiles: Option<[String; 3]>,
}

/// Between whom. Places are no nodes: what they are made of may be anywhere.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// From outside to the node that tells.
    ClientToNode,
    /// From the node that tells to the one that it names.
    NodeToEndpoint,
    NodeToServer,
    NodeTo(&'static str),
    ToNodeFrom(&'static str),
    ToPrimaryFrom(&'static str),
    PrimaryToServer,
}

impl Ends {
    /// The labels that tell edges apart.
    fn labels(self) -> &'static str {
        match self {
            Self::ClientToNode | Self::NodeTo(_) | Self::ToNodeFrom(_) => "node",
            Self::NodeToEndpoint => "node, endpoint",
            Self::NodeToServer => "node, server",
            Self::ToPrimaryFrom(_) => "",
            Self::PrimaryToServer => "server",
        }
    }
}

/// All of them, in the order of the picture. `observer` is who of several collectors is the observer.
pub(super) fn all(observer: Option<&str>) -> Vec<Flow> {
    use EdgeKind::{Cache, Config, Http, Queue, Sql, Telemetry};
    use Ends::{ClientToNode, NodeTo, NodeToEndpoint, NodeToServer, ToNodeFrom, ToPrimaryFrom};
    let to = observer.map(|observer| format!("{{collector={observer:?}}}")).unwrap_or_default();
    let sent = format!("onefold_telemetry_sent_total{to}");
    let dropped = format!("onefold_telemetry_dropped_total{to}");
    vec![
        Flow::timed(Http, ClientToNode, "onefold_balancer_request_seconds")
            .failing("onefold_balancer_requests_total{status=\"5xx\"}", "onefold_balancer_requests_total"),
        Flow::timed(Http, NodeToEndpoint, "onefold_balancer_endpoint_seconds")
            .failing("onefold_balancer_endpoint_errors_total", "onefold_balancer_endpoint_seconds_count"),
        Flow::timed(Sql, NodeToServer, "onefold_database_query_seconds")
            .failing("onefold_database_query_errors_total", "onefold_database_query_seconds_count"),
        Flow::timed(Cache, NodeTo("cache"), "onefold_cache_get_seconds")
            .failing("onefold_cache_l2_failures_total", "onefold_cache_get_seconds_count"),
        // What the cache does not hold is loaded.
        Flow::timed(Cache, ToPrimaryFrom("cache"), "onefold_cache_load_seconds"),
        // Jobs, though many may be stored by one call.
        Flow::counted(Queue, NodeTo("queue"), "onefold_queue_enqueued_total")
            .timed_by("onefold_queue_enqueue_seconds")
            .failing("onefold_queue_enqueue_errors_total", "onefold_queue_enqueue_seconds_count"),
        Flow::timed(Queue, ToNodeFrom("queue"), "onefold_queue_run_seconds")
            .failing("onefold_queue_failed_total", "onefold_queue_run_seconds_count"),
        Flow::timed(Config, NodeTo("coordination"), "onefold_coordination_call_seconds")
            .failing("onefold_coordination_call_errors_total", "onefold_coordination_call_seconds_count"),
        Flow::counted(Telemetry, NodeTo("observer"), &sent).failing(&dropped, &sent),
        replication(),
    ]
}

/// Bytes of log that a replica replays a second, and how far it lies behind.
fn replication() -> Flow {
    let lag = |q: f64| {
        format!(
            "max by (server) (quantile_over_time({q}, onefold_database_replica_lag_seconds[1m]) and on (server) \
             (onefold_database_replica_lag_seconds >= 0))"
        )
    };
    Flow {
        kind: EdgeKind::Replication,
        ends: Ends::PrimaryToServer,
        // Every node asks, and each hears at another moment. After a failover a position may lie lower.
        rate: "clamp_min(max by (server) (delta(onefold_database_server_lsn_bytes[1m])) / 60, 0)".to_owned(),
        share: None,
        quantiles: Some([0.5, 0.95, 0.99].map(lag)),
    }
}

impl Flow {
    /// Counted and timed by a histogram.
    fn timed(kind: EdgeKind, ends: Ends, histogram: &str) -> Self {
        Self::counted(kind, ends, &format!("{histogram}_count")).timed_by(histogram)
    }

    fn counted(kind: EdgeKind, ends: Ends, counter: &str) -> Self {
        Self { kind, ends, rate: sum(ends, counter), share: None, quantiles: None }
    }

    fn timed_by(self, histogram: &str) -> Self {
        let by = match self.ends.labels() {
            "" => "le".to_owned(),
            labels => format!("{labels}, le"),
        };
        let quantile =
            |q: f64| format!("histogram_quantile({q}, sum by ({by}) (rate({histogram}_bucket[1m])))");
        Self { quantiles: Some([0.5, 0.95, 0.99].map(quantile)), ..self }
    }

    /// Some of `all` fail.
    fn failing(self, failed: &str, all: &str) -> Self {
        let share = format!("{} / {}", sum(self.ends, failed), sum(self.ends, all));
        Self { share: Some(share), ..self }
    }
}

fn sum(ends: Ends, counter: &str) -> String {
    format!("sum by ({}) (rate({counter}[1m]))", ends.labels())
}
