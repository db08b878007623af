//! A request of OTLP, as an exporter of OpenTelemetry makes it.

use super::{BOUNDS, Distribution, GAUGES, Node, ROUTES, SERVERS, STATEMENTS};
use onefold_observability::otlp::common::{
    AnyValue, InstrumentationScope, KeyValue, Resource, any_value::Value,
};
use onefold_observability::otlp::metrics::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use prost::Message as _;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

pub(super) fn request(nodes: &[Node], at_ms: i64) -> Vec<u8> {
    MetricsData { resource_metrics: nodes.iter().map(|node| of_node(node, at_ms)).collect() }.encode_to_vec()
}

fn of_node(node: &Node, at_ms: i64) -> ResourceMetrics {
    let nanos = (at_ms + node.offset_ms).unsigned_abs() * 1_000_000;
    let attributes = vec![
        text("service.name", "links"),
        text("service.instance.id", &node.name),
        text("service.version", "0.1.0"),
        text("onefold.role", "app"),
        text("onefold.zone", node.zone),
        text("host.name", "bench"),
    ];
    let mut metrics = vec![durations(node, nanos), statements(node, nanos)];
    metrics.extend(GAUGES.iter().zip(node.gauges).map(|((name, unit), value)| {
        let value = Some(number_data_point::Value::AsDouble(value));
        let point = NumberDataPoint { time_unix_nano: nanos, value, ..NumberDataPoint::default() };
        metric(name, unit, Data::Gauge(Gauge { data_points: vec![point] }))
    }));
    let scope = Some(InstrumentationScope { name: "onefold".to_owned(), ..InstrumentationScope::default() });
    ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    }
}

fn durations(node: &Node, nanos: u64) -> Metric {
    let point = |(route, distribution): (&&str, &Distribution)| HistogramDataPoint {
        attributes: vec![text("http.route", route)],
        time_unix_nano: nanos,
        count: distribution.counts.iter().sum(),
        sum: Some(distribution.sum),
        bucket_counts: distribution.counts.to_vec(),
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    };
    let data_points = ROUTES.iter().zip(&node.routes).map(point).collect();
    let histogram = Histogram { data_points, aggregation_temporality: CUMULATIVE };
    metric("http.server.request.duration", "s", Data::Histogram(histogram))
}

fn statements(node: &Node, nanos: u64) -> Metric {
    let names = SERVERS.iter().flat_map(|server| STATEMENTS.iter().map(move |statement| (server, statement)));
    let point = |((server, statement), count): ((&&str, &&str), &u64)| NumberDataPoint {
        attributes: vec![text("server.address", server), text("db.operation.name", statement)],
        time_unix_nano: nanos,
        value: Some(number_data_point::Value::AsInt(count.cast_signed())),
        ..NumberDataPoint::default()
    };
    let data_points = names.zip(&node.statements).map(point).collect();
    let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
    metric("db.client.statements", "", Data::Sum(sum))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value }
}
