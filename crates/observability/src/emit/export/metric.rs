//! Metrics as OTLP has them: cumulative since the process started.

use super::anchor::unix_nanos;
use crate::otlp::common::{AnyValue, InstrumentationScope, KeyValue, Resource, any_value};
use crate::otlp::metrics::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, MetricsData,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use onefold_core::metrics::{self as core, Family, Kind, Series, Snapshot, Value};

/// The time that a push stands for, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) started: u64,
    pub(super) now: u64,
}

/// A request of the metrics service.
pub(super) fn request(resource: Resource, snapshot: &Snapshot, span: Span) -> MetricsData {
    let metrics = snapshot.families.iter().map(|family| self::family(family, span)).collect();
    let scope = InstrumentationScope { name: super::SCOPE.to_owned(), ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource);
    MetricsData {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn family(family: &Family, span: Span) -> Metric {
    let numbers = || family.series.iter().filter_map(|series| number(series, span)).collect();
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match family.kind {
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: family.series.iter().filter_map(|series| histogram(series, span)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: family.name.to_owned(),
        description: family.help.clone(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(series: &Series, span: Span) -> Option<NumberDataPoint> {
    let value = match series.value {
        Value::Count(count) => number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Number(number) => number_data_point::Value::AsDouble(number),
        Value::Histogram { .. } => return None,
    };
    Some(NumberDataPoint {
        attributes: labels(series),
        start_time_unix_nano: span.started,
        time_unix_nano: span.now,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram(series: &Series, span: Span) -> Option<HistogramDataPoint> {
    let Value::Histogram { bounds, counts, sum, exemplars } = &series.value else { return None };
    Some(HistogramDataPoint {
        attributes: labels(series),
        start_time_unix_nano: span.started,
        time_unix_nano: span.now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        exemplars: exemplars.iter().flatten().map(example).collect(),
        ..HistogramDataPoint::default()
    })
}

fn example(exemplar: &core::Exemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: unix_nanos(exemplar.at),
        trace_id: exemplar.context.trace().to_bytes().to_vec(),
        span_id: exemplar.context.span().to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
        ..Exemplar::default()
    }
}

fn labels(series: &Series) -> Vec<KeyValue> {
    series.labels.iter().map(|(name, value)| text(name, value)).collect()
}

/// An attribute.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}
