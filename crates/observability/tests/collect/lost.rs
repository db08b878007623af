//! What a death costs is counted: what was acknowledged is stored or told as lost.

use crate::victim::Victim;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::{Collector, Config};
use onefold_observability::otlp::common::{AnyValue, KeyValue, any_value};
use onefold_observability::otlp::logs::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use onefold_observability::otlp::metrics::{
    Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use onefold_observability::otlp::trace::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// In one request.
const ITEMS: u64 = 50;
/// Requests of each signal that are acknowledged after the first items were stored.
const AFTER: u64 = 40;

#[tokio::test]
async fn what_was_acknowledged_is_stored_or_counted_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let victim = Victim::start(directory.path());
    let acknowledged = [const { AtomicU64::new(0) }; 3];
    let (client, begin_ns) = (reqwest::Client::new(), now_ns());
    let sending = async |signal: usize, path: &str, request: fn(u64, u64) -> Vec<u8>| {
        let mut number = 0;
        let mut stored_after = None;
        loop {
            assert!(victim.send(&client, path, request(begin_ns, number)).await);
            acknowledged[signal].fetch_add(ITEMS, Ordering::Relaxed);
            number += 1;
            // Samples count once they are in memory: for them the spans' first commit counts.
            if stored_after.is_none() && victim.kept().await[signal % 2] > 0 {
                stored_after = Some(number);
            }
            if stored_after.is_some_and(|first| number >= first + AFTER) {
                return;
            }
        }
    };
    let sent = async {
        tokio::join!(
            sending(0, "/v1/traces", spans),
            sending(1, "/v1/logs", lines),
            sending(2, "/v1/metrics", samples)
        );
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("nothing is stored");
    victim.kill();

    let (tasks, metrics, clock) = (TaskGroup::new(), Metrics::new(), Clock::system());
    let open = || Collector::open(Config::default(), directory.path(), &tasks, &metrics, &clock).unwrap();
    let collector = open();
    let after = collector.retention();
    for (signal, acknowledged) in after.iter().zip(acknowledged) {
        let acknowledged = acknowledged.into_inner();
        assert_eq!(signal.count + signal.lost, acknowledged, "{signal:?}");
    }
    assert!(after.iter().any(|signal| signal.lost > 0), "it died with nothing in memory: {after:?}");
    let rendered = metrics.render();
    let line = format!("onefold_observer_lost_items_total{{signal=\"spans\"}} {}", after[0].lost);
    assert!(rendered.contains(&line), "{line} is not in\n{rendered}");

    // One that ends in order loses nothing, and remembers what was lost.
    collector.close().await;
    drop(collector);
    let lost =
        |all: &[onefold_observability::collect::Retention]| all.iter().map(|one| one.lost).sum::<u64>();
    assert_eq!(lost(&open().retention()), lost(&after));
}

fn now_ns() -> u64 {
    Clock::system().wall().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

fn spans(begin_ns: u64, number: u64) -> Vec<u8> {
    let span = |item: u64| Span {
        trace_id: u128::from(number * ITEMS + item + 1).to_be_bytes().to_vec(),
        span_id: (item + 1).to_be_bytes().to_vec(),
        name: "n".to_owned(),
        start_time_unix_nano: begin_ns,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..ITEMS).map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    TracesData { resource_spans: vec![resource] }.encode_to_vec()
}

fn lines(begin_ns: u64, number: u64) -> Vec<u8> {
    let line =
        |item: u64| LogRecord { time_unix_nano: begin_ns + number * ITEMS + item, ..LogRecord::default() };
    let scope = ScopeLogs { log_records: (0..ITEMS).map(line).collect(), ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    LogsData { resource_logs: vec![resource] }.encode_to_vec()
}

/// A point of each series, a millisecond later than the last.
fn samples(begin_ns: u64, number: u64) -> Vec<u8> {
    let point = |item: u64| {
        let value = AnyValue { value: Some(any_value::Value::StringValue(item.to_string())) };
        NumberDataPoint {
            attributes: vec![KeyValue { key: "item".to_owned(), value: Some(value) }],
            time_unix_nano: begin_ns + number * 1_000_000,
            value: Some(number_data_point::Value::AsInt(number.cast_signed())),
            ..NumberDataPoint::default()
        }
    };
    let gauge = Gauge { data_points: (0..ITEMS).map(point).collect() };
    let metric =
        Metric { name: "load".to_owned(), data: Some(metric::Data::Gauge(gauge)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    MetricsData { resource_metrics: vec![resource] }.encode_to_vec()
}
