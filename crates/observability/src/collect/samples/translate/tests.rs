use super::*;
use crate::collect::promql::{Matcher, is_stale};
use crate::collect::samples::head::Found;
use crate::otlp::metrics::MetricsData;
use serde_json::{Value as Json, json};

const NOW_MS: i64 = 1_700_000_000_000;

struct Bench {
    head: Head,
    exemplars: Exemplars,
    metadata: Metadata,
    keys: Keys,
}

impl Bench {
    fn new() -> Self {
        Self {
            head: Head::new(1000),
            exemplars: Exemplars::default(),
            metadata: Metadata::default(),
            keys: Keys::default(),
        }
    }

    fn take(&mut self, metrics: &Json) -> Accepted {
        let resource = json!({"attributes": [
            {"key": "service.namespace", "value": {"stringValue": "shop"}},
            {"key": "service.name", "value": {"stringValue": "cart"}},
            {"key": "service.instance.id", "value": {"stringValue": "i-1"}},
        ]});
        let request =
            json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]});
        let request: MetricsData = serde_json::from_value(request).unwrap();
        let mut translator = Translator {
            head: &mut self.head,
            exemplars: &mut self.exemplars,
            metadata: &mut self.metadata,
            keys: &self.keys,
            now_ms: NOW_MS,
            oldest_ms: 0,
            tally: Tally::default(),
        };
        translator.translate(&request.resource_metrics);
        translator.tally.accepted()
    }

    /// All series with their values, as texts in order.
    fn series(&self) -> Vec<String> {
        let all = self.head.select(&[], 0, i64::MAX, NOW_MS);
        let shown = |found: Found| {
            let values = found.samples.iter().map(|sample| sample.value);
            let values =
                values.map(|value| if is_stale(value) { "end".to_owned() } else { value.to_string() });
            format!("{} {}", found.labels, values.collect::<Vec<_>>().join(" "))
        };
        let mut shown: Vec<String> = all.into_iter().map(shown).collect();
        shown.sort();
        shown
    }
}

fn nanos(seconds: i64) -> String {
    ((NOW_MS / 1000 - 100 + seconds) * 1_000_000_000).to_string()
}

#[test]
fn sums_and_gauges_become_series_of_job_and_instance() {
    let mut bench = Bench::new();
    let accepted = bench.take(&json!([
        {"name": "http.requests", "unit": "1", "description": "Requests.", "sum": {
            "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
                {"timeUnixNano": nanos(1), "asInt": "7", "attributes": [
                    {"key": "http.status", "value": {"intValue": "200"}},
                    {"key": "ok", "value": {"boolValue": true}}]}]}},
        {"name": "queue.size", "sum": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": nanos(1), "asDouble": 1.5}]}},
        {"name": "temperature", "unit": "Cel", "gauge": {"dataPoints": [
            {"timeUnixNano": nanos(1), "asDouble": -4.0}, {"timeUnixNano": nanos(2)}]}},
    ]));
    assert_eq!((accepted.accepted, accepted.rejected), (3, 1));
    assert_eq!(accepted.why, "a data point has no value (1)");
    assert_eq!(
        bench.series(),
        [
            r#"http_requests_total{http_status="200", instance="i-1", job="shop/cart", ok="true"} 7"#,
            r#"queue_size{instance="i-1", job="shop/cart"} 1.5"#,
            r#"temperature_celsius{instance="i-1", job="shop/cart"} -4"#,
        ]
    );
    assert_eq!(bench.metadata.all()["http_requests_total"].kind, "counter");
}

#[test]
fn increases_are_added_up_and_an_unspecified_sum_is_refused() {
    let mut bench = Bench::new();
    let sum = |temporality: i32, seconds: i64, value: i64| {
        json!([{"name": "jobs", "sum": {"aggregationTemporality": temporality, "isMonotonic": true, "dataPoints": [
            {"timeUnixNano": nanos(seconds), "asInt": value.to_string()}]}}])
    };
    bench.take(&sum(1, 1, 5));
    bench.take(&sum(1, 2, 3));
    assert_eq!(
        bench.series(),
        [r#"jobs_total{instance="i-1", job="shop/cart"} 5 8 end"#],
        "it stopped long ago"
    );
    assert!(bench.take(&sum(0, 3, 1)).why.starts_with("a sum or histogram does not say"));
}

#[test]
fn histograms_have_buckets_a_sum_and_a_count() {
    let mut bench = Bench::new();
    let accepted = bench.take(&json!([{"name": "latency", "unit": "s", "histogram": {
        "aggregationTemporality": 2, "dataPoints": [{
            "timeUnixNano": nanos(1), "count": "6", "sum": 2.5, "explicitBounds": [0.1, 1.0],
            "bucketCounts": ["3", "2", "1"],
            "exemplars": [{"timeUnixNano": nanos(1), "asDouble": 0.5, "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}]}]}}]));
    assert_eq!((accepted.accepted, accepted.rejected), (1, 0), "a point counts once, whatever it becomes");
    let at = r#"instance="i-1", job="shop/cart""#;
    assert_eq!(
        bench.series(),
        [
            format!(r#"latency_seconds_bucket{{{at}, le="+Inf"}} 6"#),
            format!(r#"latency_seconds_bucket{{{at}, le="0.1"}} 3"#),
            format!(r#"latency_seconds_bucket{{{at}, le="1"}} 5"#),
            format!("latency_seconds_count{{{at}}} 6"),
            format!("latency_seconds_sum{{{at}}} 2.5"),
        ]
    );
    let wanted = [vec![Matcher::equal("le", "1")]];
    let exemplars = bench.exemplars.select(&wanted, 0, i64::MAX);
    let exemplar = exemplars.values().next().unwrap();
    assert_eq!(exemplar[0].labels.get("trace_id"), "0102030405060708090a0b0c0d0e0f10");
    let refused = bench
        .take(&json!([{"name": "latency", "histogram": {"aggregationTemporality": 2, "dataPoints": [
        {"timeUnixNano": nanos(2), "count": "6", "explicitBounds": [0.1, 1.0], "bucketCounts": ["3"]}]}}]));
    assert_eq!(refused.why, "a histogram has not one bucket more than bounds (1)");
}

#[test]
fn exponential_histograms_and_summaries_become_classic_series() {
    let mut bench = Bench::new();
    let exponential = |temporality: i32| {
        json!([{"name": "size", "exponentialHistogram": {"aggregationTemporality": temporality, "dataPoints": [
            {"timeUnixNano": nanos(1), "count": "5", "sum": 9.0, "scale": 0, "zeroCount": "1",
             "positive": {"offset": 0, "bucketCounts": ["3", "1"]}}]}}])
    };
    assert_eq!(bench.take(&exponential(2)).rejected, 0);
    assert!(
        bench.take(&exponential(1)).why.starts_with("exponential histograms are taken as cumulative only")
    );
    bench.take(&json!([{"name": "rpc", "summary": {"dataPoints": [
        {"timeUnixNano": nanos(1), "count": "4", "sum": 2.0, "quantileValues": [{"quantile": 0.5, "value": 0.4}]}]}}]));
    let at = r#"instance="i-1", job="shop/cart""#;
    assert_eq!(
        bench.series(),
        [
            format!("rpc_count{{{at}}} 4"),
            format!("rpc_sum{{{at}}} 2"),
            format!(r#"rpc{{{at}, quantile="0.5"}} 0.4"#),
            format!(r#"size_bucket{{{at}, le="+Inf"}} 5"#),
            format!(r#"size_bucket{{{at}, le="0"}} 1"#),
            format!(r#"size_bucket{{{at}, le="2"}} 4"#),
            format!(r#"size_bucket{{{at}, le="4"}} 5"#),
            format!("size_count{{{at}}} 5"),
            format!("size_sum{{{at}}} 9"),
        ]
    );
}

#[test]
fn a_point_without_a_recorded_value_ends_its_series() {
    let mut bench = Bench::new();
    bench.take(&json!([{"name": "up", "gauge": {"dataPoints": [{"timeUnixNano": nanos(1), "asInt": "1"}]}}]));
    bench.take(&json!([{"name": "up", "gauge": {"dataPoints": [{"timeUnixNano": nanos(2), "flags": 1}]}}]));
    assert_eq!(bench.series(), [r#"up{instance="i-1", job="shop/cart"} 1 end"#]);
}

#[test]
fn labels_that_are_too_many_or_too_long_are_refused() {
    let mut bench = Bench::new();
    let long = json!([{"key": "q", "value": {"stringValue": "x".repeat(5000)}}]);
    let many: Json =
        (0..70).map(|i| json!({"key": format!("k{i}"), "value": {"stringValue": "v"}})).collect();
    for (attributes, why) in [(long, "a label's name is longer"), (many, "a series has more than 64 labels")]
    {
        let point = json!({"timeUnixNano": nanos(1), "asInt": "1", "attributes": attributes});
        let refused = bench.take(&json!([{"name": "up", "gauge": {"dataPoints": [point]}}]));
        assert!(refused.why.starts_with(why), "{}", refused.why);
    }
    assert_eq!(bench.series(), [] as [String; 0]);
}
