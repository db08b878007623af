//! The edges of a system with two balancers, from metrics as its nodes send them.

use super::Edges;
use crate::role::observer::picture::Edge;
use crate::role::observer::picture::EdgeKind::{
    self, Cache, Config as Configuration, Http, Queue, Replication, Sql, Telemetry,
};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::{Collector, Config};
use onefold_observability::otlp::metrics::MetricsData;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Between two pushes, and how many fill the minute that is looked at.
const STEP_S: u32 = 5;
const PUSHES: u32 = 13;

/// What one node tells of one edge.
#[derive(Clone, Copy)]
enum Told {
    /// So many a second.
    Counted(u32),
    /// So many a second, each of them between 10 and 20 ms.
    Timed(u32),
    Level(f64),
}

type Series = (&'static str, &'static str, &'static [(&'static str, &'static str)], Told);

struct Platform {
    collector: Collector,
    edges: Edges,
    clock: Clock,
}

impl Platform {
    fn open(directory: &Path) -> Self {
        let clock = Clock::manual();
        let metrics = Metrics::new();
        let collector =
            Collector::open(Config::default(), directory, &TaskGroup::new(), &metrics, &clock).unwrap();
        Self { edges: Edges::new(collector.samples().clone(), Some("observer:4317")), collector, clock }
    }

    /// A minute of pushes.
    fn run(&self, told: &[Series]) {
        for push in 0..PUSHES {
            if push > 0 {
                self.clock.advance(Duration::from_secs(STEP_S.into()));
            }
            for (node, name, labels, told) in told {
                let metric = metric(name, labels, *told, push, self.now_ms());
                let attributes =
                    [("service.name", "links"), ("service.instance.id", *node), ("onefold.role", "app")];
                let data = json!({ "resourceMetrics": [{
                    "resource": { "attributes": attributes.map(|(key, value)| attribute(key, value)) },
                    "scopeMetrics": [{ "metrics": [metric] }],
                }] });
                let data: MetricsData = serde_json::from_value(data).unwrap();
                let accepted = self.collector.samples().write(&data.resource_metrics).unwrap();
                assert_eq!(accepted.rejected, 0, "{}", accepted.why);
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.wall().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
    }

    fn measure(&self, primary: Option<&str>) -> Vec<Edge> {
        self.edges.measure(primary, self.now_ms())
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// A cumulative metric as it stands at a push; it began before the first one.
fn metric(name: &str, labels: &[(&str, &str)], told: Told, push: u32, at_ms: i64) -> Value {
    let nanos = (at_ms * 1_000_000).to_string();
    let attributes: Vec<Value> = labels.iter().map(|(key, value)| attribute(key, value)).collect();
    let so_far = |per_s: u32| per_s * STEP_S * (push + 100);
    match told {
        Told::Level(value) => json!({ "name": name, "gauge": { "dataPoints": [
            { "attributes": attributes, "timeUnixNano": nanos, "asDouble": value + f64::from(push * STEP_S) } ] } }),
        Told::Counted(per_s) => {
            json!({ "name": name, "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
            { "attributes": attributes, "timeUnixNano": nanos, "asDouble": so_far(per_s) } ] } })
        }
        Told::Timed(per_s) => {
            json!({ "name": name, "unit": "s", "histogram": { "aggregationTemporality": 2, "dataPoints": [
            { "attributes": attributes, "timeUnixNano": nanos, "count": so_far(per_s).to_string(), "sum": 1.0,
              "explicitBounds": [0.01, 0.02], "bucketCounts": ["0", so_far(per_s).to_string(), "0"] } ] } })
        }
    }
}

fn edge<'a>(edges: &'a [Edge], from: &str, to: &str, kind: EdgeKind) -> &'a Edge {
    let found = edges.iter().find(|edge| edge.from == from && edge.to == to && edge.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind:?} from {from} to {to} in {edges:#?}"))
}

/// The line of the README's picture that each is.
const SYSTEM: [Series; 25] = [
    ("balancer-1", "onefold_balancer_request_seconds", &[], Told::Timed(30)),
    ("balancer-1", "onefold_balancer_requests", &[("status", "2xx")], Told::Counted(27)),
    ("balancer-1", "onefold_balancer_requests", &[("status", "5xx")], Told::Counted(3)),
    ("balancer-2", "onefold_balancer_request_seconds", &[], Told::Timed(10)),
    ("balancer-1", "onefold_balancer_endpoint_seconds", &[("endpoint", "app-a")], Told::Timed(20)),
    ("balancer-1", "onefold_balancer_endpoint_seconds", &[("endpoint", "app-b")], Told::Timed(10)),
    ("balancer-1", "onefold_balancer_endpoint_errors", &[("endpoint", "app-b")], Told::Counted(5)),
    ("balancer-2", "onefold_balancer_endpoint_seconds", &[("endpoint", "app-b")], Told::Timed(10)),
    ("app-a", "onefold_cache_get_seconds", &[], Told::Timed(18)),
    ("app-a", "onefold_cache_load_seconds", &[], Told::Timed(2)),
    ("app-b", "onefold_cache_load_seconds", &[], Told::Timed(1)),
    (
        "app-a",
        "onefold_database_query_seconds",
        &[("server", "postgres-1"), ("role", "primary")],
        Told::Timed(4),
    ),
    (
        "app-a",
        "onefold_database_query_seconds",
        &[("server", "postgres-2"), ("role", "replica")],
        Told::Timed(6),
    ),
    ("app-a", "onefold_queue_enqueue_seconds", &[], Told::Timed(2)),
    ("app-a", "onefold_queue_enqueue_errors", &[], Told::Counted(1)),
    ("app-a", "onefold_queue_enqueued", &[("kind", "click.v1")], Told::Counted(16)),
    ("worker-1", "onefold_queue_run_seconds", &[("kind", "click.v1")], Told::Timed(16)),
    ("worker-1", "onefold_queue_failed", &[("kind", "click.v1")], Told::Counted(4)),
    ("worker-1", "onefold_coordination_call_seconds", &[], Told::Timed(2)),
    (
        "app-a",
        "onefold_telemetry_sent",
        &[("signal", "spans"), ("collector", "observer:4317")],
        Told::Counted(90),
    ),
    (
        "app-a",
        "onefold_telemetry_sent",
        &[("signal", "logs"), ("collector", "observer:4317")],
        Told::Counted(10),
    ),
    ("app-a", "onefold_telemetry_sent", &[("signal", "spans"), ("collector", "other:1")], Told::Counted(7)),
    ("app-a", "onefold_database_server_lsn_bytes", &[("server", "postgres-2")], Told::Level(5000.0)),
    ("app-a", "onefold_database_replica_lag_seconds", &[("server", "postgres-2")], Told::Level(0.0)),
    ("app-a", "onefold_database_server_lsn_bytes", &[("server", "postgres-1")], Told::Level(5000.0)),
];

#[tokio::test]
async fn every_line_of_the_picture_has_its_rate_its_errors_and_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(directory.path());
    platform.run(&SYSTEM);
    let edges = platform.measure(Some("postgres-1"));
    let expected = [
        ("client", "balancer-1", Http, 30.0, 0.1),
        ("client", "balancer-2", Http, 10.0, 0.0),
        ("balancer-1", "app-a", Http, 20.0, 0.0),
        ("balancer-1", "app-b", Http, 10.0, 0.5),
        ("balancer-2", "app-b", Http, 10.0, 0.0),
        ("app-a", "postgres-1", Sql, 4.0, 0.0),
        ("app-a", "postgres-2", Sql, 6.0, 0.0),
        ("app-a", "cache", Cache, 18.0, 0.0),
        ("cache", "postgres-1", Cache, 3.0, 0.0),
        ("app-a", "queue", Queue, 16.0, 0.5),
        ("queue", "worker-1", Queue, 16.0, 0.25),
        ("worker-1", "coordination", Configuration, 2.0, 0.0),
        ("app-a", "observer", Telemetry, 100.0, 0.0),
        ("postgres-1", "postgres-2", Replication, 1.0, 0.0),
    ];
    for (from, to, kind, rate, error_rate) in expected {
        let found = edge(&edges, from, to, kind);
        assert!((found.rate - rate).abs() < 0.01, "{found:?}");
        assert!((found.error_rate - error_rate).abs() < 0.001, "{found:?}");
        match kind {
            Telemetry => assert_eq!(found.p95_ms, None),
            // It grew by a second a second, and nodes tell every five.
            Replication => assert!(found.p95_ms > Some(50_000.0), "{found:?}"),
            _ => assert_eq!((found.p50_ms, found.p95_ms), (Some(15.0), Some(19.5)), "{found:?}"),
        }
    }
    assert_eq!(edges.len(), expected.len(), "{edges:#?}");
}

#[tokio::test]
async fn without_a_primary_only_what_leads_from_it_or_to_it_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(directory.path());
    platform.run(&SYSTEM);
    let edges = platform.measure(None);
    edge(&edges, "app-a", "queue", Queue);
    edge(&edges, "worker-1", "coordination", Configuration);
    edge(&edges, "app-a", "postgres-1", Sql);
    assert!(edges.iter().all(|edge| edge.kind != Replication), "{edges:#?}");
}

#[tokio::test]
async fn an_idle_replica_keeps_its_edge_and_other_idle_ones_go() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(directory.path());
    platform.run(&[
        ("app-a", "onefold_database_query_seconds", &[("server", "postgres-1")], Told::Timed(0)),
        ("app-a", "onefold_database_server_lsn_bytes", &[("server", "postgres-2")], Told::Level(0.0)),
    ]);
    let edges = platform.measure(Some("postgres-1"));
    assert_eq!(edges.len(), 1, "{edges:#?}");
    let found = edge(&edges, "postgres-1", "postgres-2", Replication);
    // Nobody could say how far it is behind.
    assert_eq!(found.p95_ms, None);
}
