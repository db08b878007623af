//! A stored trace as OTLP again, and OTLP in the JSON that Tempo answers: protobuf's own, with ids in base64 and
//! 64-bit integers as texts.

use crate::collect::spans::{self, Trace};
use crate::otlp::common::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource, any_value,
};
use crate::otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, TracesData, span, status};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// As the store shows them.
type Attributes = Map<String, Value>;

/// All spans, by who sent them and by the library that made them.
pub(super) fn of(trace: &Trace) -> TracesData {
    let mut resources: Vec<(&Arc<Attributes>, Vec<ScopeSpans>)> = Vec::new();
    for span in &trace.spans {
        let same = |resource: &Arc<_>| Arc::ptr_eq(resource, &span.resource) || **resource == *span.resource;
        let at = resources.iter().position(|(resource, _)| same(resource)).unwrap_or_else(|| {
            resources.push((&span.resource, Vec::new()));
            resources.len() - 1
        });
        let scopes = &mut resources[at].1;
        let named = |scope: &ScopeSpans| scope.scope.as_ref().is_some_and(|scope| scope.name == span.scope);
        let at = scopes.iter().position(named).unwrap_or_else(|| {
            let scope = InstrumentationScope { name: span.scope.clone(), ..InstrumentationScope::default() };
            scopes.push(ScopeSpans { scope: Some(scope), ..ScopeSpans::default() });
            scopes.len() - 1
        });
        scopes[at].spans.push(one(trace.trace_id, span));
    }
    let resource_spans = resources.into_iter().map(|(resource, scope_spans)| ResourceSpans {
        resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
        scope_spans,
        ..ResourceSpans::default()
    });
    TracesData { resource_spans: resource_spans.collect() }
}

fn one(trace_id: u128, span: &spans::Span) -> Span {
    let kind = match span.kind {
        "server" => span::SpanKind::Server,
        "client" => span::SpanKind::Client,
        "producer" => span::SpanKind::Producer,
        "consumer" => span::SpanKind::Consumer,
        _ => span::SpanKind::Internal,
    };
    let code = match span.status {
        "error" => status::StatusCode::Error,
        "ok" => status::StatusCode::Ok,
        _ => status::StatusCode::Unset,
    };
    let event = |event: &spans::Event| span::Event {
        time_unix_nano: event.time,
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
        ..span::Event::default()
    };
    let link = |link: &spans::Link| span::Link {
        trace_id: link.trace_id.to_be_bytes().to_vec(),
        span_id: link.span_id.to_be_bytes().to_vec(),
        attributes: attributes(&link.attributes),
        ..span::Link::default()
    };
    Span {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: span.span_id.to_be_bytes().to_vec(),
        parent_span_id: span.parent_span_id.map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.start.saturating_add(span.duration_ns),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: Some(Status { message: span.status_message.clone(), code: code.into() }),
        ..Span::default()
    }
}

fn attributes(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue { key: key.clone(), value: Some(any(value)) }).collect()
}

fn any(value: &Value) -> AnyValue {
    use any_value::Value as Any;
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::String(text) => Some(Any::StringValue(text.clone())),
        Value::Number(number) => {
            let double = || number.as_f64().map(Any::DoubleValue);
            number.as_i64().map(Any::IntValue).or_else(double)
        }
        Value::Array(values) => {
            Some(Any::ArrayValue(ArrayValue { values: values.iter().map(any).collect() }))
        }
        Value::Object(values) => Some(Any::KvlistValue(KeyValueList { values: attributes(values) })),
    };
    AnyValue { value }
}

/// `resourceSpans` of a trace.
pub(super) fn to_json(traces: &TracesData) -> Value {
    let scope = |scope: &ScopeSpans| {
        let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
        json!({ "scope": { "name": name }, "spans": scope.spans.iter().map(span_to_json).collect::<Vec<_>>() })
    };
    let resource = |resource: &ResourceSpans| {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let scopes: Vec<Value> = resource.scope_spans.iter().map(scope).collect();
        json!({ "resource": { "attributes": list(attributes) }, "scopeSpans": scopes })
    };
    traces.resource_spans.iter().map(resource).collect()
}

fn span_to_json(span: &Span) -> Value {
    let mut object = Map::new();
    let mut add = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    add("traceId", STANDARD.encode(&span.trace_id).into());
    add("spanId", STANDARD.encode(&span.span_id).into());
    if !span.parent_span_id.is_empty() {
        add("parentSpanId", STANDARD.encode(&span.parent_span_id).into());
    }
    add("name", span.name.clone().into());
    let kind = match span.kind() {
        span::SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
        span::SpanKind::Internal => "SPAN_KIND_INTERNAL",
        span::SpanKind::Server => "SPAN_KIND_SERVER",
        span::SpanKind::Client => "SPAN_KIND_CLIENT",
        span::SpanKind::Producer => "SPAN_KIND_PRODUCER",
        span::SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    };
    add("kind", kind.into());
    add("startTimeUnixNano", span.start_time_unix_nano.to_string().into());
    add("endTimeUnixNano", span.end_time_unix_nano.to_string().into());
    add("attributes", list(&span.attributes));
    if !span.events.is_empty() {
        add("events", span.events.iter().map(event_to_json).collect());
    }
    if !span.links.is_empty() {
        add("links", span.links.iter().map(link_to_json).collect());
    }
    add("status", span.status.as_ref().map_or_else(|| json!({}), status_to_json));
    Value::Object(object)
}

fn event_to_json(event: &span::Event) -> Value {
    let (time, attributes) = (event.time_unix_nano.to_string(), list(&event.attributes));
    json!({ "timeUnixNano": time, "name": event.name, "attributes": attributes })
}

fn link_to_json(link: &span::Link) -> Value {
    let (trace, span) = (STANDARD.encode(&link.trace_id), STANDARD.encode(&link.span_id));
    json!({ "traceId": trace, "spanId": span, "attributes": list(&link.attributes) })
}

/// What is at its default is left out.
fn status_to_json(status: &Status) -> Value {
    let mut object = Map::new();
    if !status.message.is_empty() {
        object.insert("message".to_owned(), status.message.clone().into());
    }
    let code = match status.code() {
        status::StatusCode::Unset => None,
        status::StatusCode::Ok => Some("STATUS_CODE_OK"),
        status::StatusCode::Error => Some("STATUS_CODE_ERROR"),
    };
    object.extend(code.map(|code| ("code".to_owned(), code.into())));
    Value::Object(object)
}

fn list(attributes: &[KeyValue]) -> Value {
    let pair = |KeyValue { key, value }: &KeyValue| {
        let value = value.as_ref().map_or_else(|| json!({}), any_to_json);
        json!({ "key": key, "value": value })
    };
    attributes.iter().map(pair).collect()
}

fn any_to_json(any: &AnyValue) -> Value {
    use any_value::Value as Any;
    match &any.value {
        None => json!({}),
        Some(Any::StringValue(text)) => json!({ "stringValue": text }),
        Some(Any::BoolValue(value)) => json!({ "boolValue": value }),
        Some(Any::IntValue(value)) => json!({ "intValue": value.to_string() }),
        Some(Any::DoubleValue(value)) => json!({ "doubleValue": value }),
        Some(Any::ArrayValue(array)) => {
            let values: Vec<Value> = array.values.iter().map(any_to_json).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Some(Any::KvlistValue(pairs)) => json!({ "kvlistValue": { "values": list(&pairs.values) } }),
        Some(Any::BytesValue(bytes)) => json!({ "bytesValue": STANDARD.encode(bytes) }),
    }
}

/// An attribute as it stands in a search's answer.
pub(super) fn pair(key: &str, value: &Value) -> Value {
    json!({ "key": key, "value": any_to_json(&any(value)) })
}
