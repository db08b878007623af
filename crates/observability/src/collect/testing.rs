//! Requests for tests, written as a sender would.

use crate::otlp::common::{AnyValue, InstrumentationScope, KeyValue, Resource, any_value::Value};
use crate::otlp::logs::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use crate::otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, TracesData, span};
use bytes::Bytes;
use prost::Message as _;

pub(crate) const SECOND: u64 = 1_000_000_000;
/// 2026-01-01.
pub(crate) const T0: u64 = 1_767_225_600 * SECOND;

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

pub(crate) fn resource(node: &str) -> Resource {
    let attributes = vec![
        text("service.name", "links"),
        text("service.instance.id", node),
        text("onefold.role", "app"),
        text("onefold.zone", "a"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// A span that began `at` seconds after T0 and took one.
pub(crate) fn span(trace: u128, id: u64, parent: u64, name: &str, at: u64) -> Span {
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: T0 + at * SECOND,
        end_time_unix_nano: T0 + (at + 1) * SECOND,
        attributes: vec![
            text("onefold.tier", "app"),
            attribute("http.response.status_code", Value::IntValue(200)),
        ],
        ..Span::default()
    }
}

pub(crate) fn failed(mut span: Span, message: &str) -> Span {
    span.status = Some(Status { code: 2, message: message.to_owned() });
    span.events.push(span::Event {
        time_unix_nano: span.end_time_unix_nano,
        name: "exception".to_owned(),
        attributes: vec![text("exception.message", message)],
        ..span::Event::default()
    });
    span
}

pub(crate) fn linking(mut span: Span, trace: u128) -> Span {
    let (trace_id, span_id) = (trace.to_be_bytes().to_vec(), vec![1; 8]);
    span.links.push(span::Link { trace_id, span_id, ..span::Link::default() });
    span
}

pub(crate) fn traces(node: &str, spans: Vec<Span>) -> TracesData {
    let scope = Some(InstrumentationScope { name: "onefold".to_owned(), ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(node)),
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn spans_request(node: &str, spans: Vec<Span>) -> Bytes {
    traces(node, spans).encode_to_vec().into()
}

pub(crate) fn line(at: u64, severity: i32, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: T0 + at * SECOND,
        severity_number: severity,
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        ..LogRecord::default()
    }
}

pub(crate) fn logs_request(node: &str, log_records: Vec<LogRecord>) -> Bytes {
    let scope =
        Some(InstrumentationScope { name: "onefold_queue".to_owned(), ..InstrumentationScope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
    let one = ResourceLogs { resource: Some(resource(node)), scope_logs, ..ResourceLogs::default() };
    LogsData { resource_logs: vec![one] }.encode_to_vec().into()
}
