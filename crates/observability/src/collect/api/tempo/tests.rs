//! What Grafana's data source of traces asks, and the exact answers.

use crate::collect::api::tests::{Observer, observer};
use crate::collect::testing::{T0, attribute, failed, span, text};
use crate::otlp::common::any_value::Value as Any;
use crate::otlp::trace::TracesData;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use prost::Message as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ID: &str = "00000000000000000000000000000abc";

/// A trace of two nodes, of which a statement failed after 2 s, and a quick one.
async fn traced() -> Observer {
    let observer = observer();
    let mut statement = failed(span(0xabc, 2, 1, "SELECT", 0), "no row");
    statement.end_time_unix_nano = T0 + 2_000_000_000;
    statement.attributes =
        vec![text("db.system", "postgresql"), attribute("onefold.attempt", Any::IntValue(2))];
    observer.send_spans("app-a", vec![statement]).await;
    observer.send_spans("balancer-1", vec![span(0xabc, 1, 0, "GET", 0)]).await;
    observer.send_spans("app-b", vec![span(0xdef, 1, 0, "GET", 5)]).await;
    observer
}

async fn ids(observer: &Observer, search: &str) -> Vec<String> {
    let (status, answer) = observer.get(&format!("/tempo/api/search?{search}")).await;
    assert_eq!(status, StatusCode::OK, "{search}: {answer}");
    let traces = answer["traces"].as_array().unwrap().iter();
    traces.map(|trace| trace["traceID"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
}

async fn bytes(observer: &Observer, path: &str, accept: &str) -> (String, bytes::Bytes) {
    let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = observer.collector.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (kind, response.into_body().collect().await.unwrap().to_bytes())
}

/// What both APIs show of the trace.
fn resource_spans() -> Value {
    let resource = |node: &str| {
        let pairs = [
            ("service.name", "links"),
            ("service.instance.id", node),
            ("onefold.role", "app"),
            ("onefold.zone", "a"),
        ];
        json!({ "attributes": pairs.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})) })
    };
    let root = json!({
        "traceId": "AAAAAAAAAAAAAAAAAAAKvA==", "spanId": "AAAAAAAAAAE=", "name": "GET", "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601000000000",
        "attributes": [
            {"key": "onefold.tier", "value": {"stringValue": "app"}},
            {"key": "http.response.status_code", "value": {"intValue": "200"}},
        ],
        "status": {},
    });
    let statement = json!({
        "traceId": "AAAAAAAAAAAAAAAAAAAKvA==", "spanId": "AAAAAAAAAAI=", "parentSpanId": "AAAAAAAAAAE=", "name": "SELECT",
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225602000000000",
        "attributes": [
            {"key": "db.system", "value": {"stringValue": "postgresql"}},
            {"key": "onefold.attempt", "value": {"intValue": "2"}},
        ],
        "events": [{
            "timeUnixNano": "1767225601000000000", "name": "exception",
            "attributes": [{"key": "exception.message", "value": {"stringValue": "no row"}}],
        }],
        "status": {"message": "no row", "code": "STATUS_CODE_ERROR"},
    });
    json!([
        {"resource": resource("balancer-1"), "scopeSpans": [{"scope": {"name": "onefold"}, "spans": [root]}]},
        {"resource": resource("app-a"), "scopeSpans": [{"scope": {"name": "onefold"}, "spans": [statement]}]},
    ])
}

#[tokio::test]
async fn a_trace_is_shown_in_json_and_in_protobuf_by_both_versions() {
    let observer = traced().await;
    let (_, first) = observer.get(&format!("/tempo/api/traces/{ID}?start=1&end=2")).await;
    assert_eq!(first, json!({ "batches": resource_spans() }));
    let (_, second) = observer.get("/tempo/api/v2/traces/abc").await;
    assert_eq!(second, json!({ "trace": { "resourceSpans": resource_spans() }, "metrics": {} }));

    let (kind, first) = bytes(&observer, &format!("/tempo/api/traces/{ID}"), "application/protobuf").await;
    assert_eq!(kind, "application/protobuf");
    let trace = TracesData::decode(first).unwrap();
    assert_eq!(super::otlp::to_json(&trace), resource_spans());
    let (_, second) =
        bytes(&observer, &format!("/tempo/api/v2/traces/{ID}"), "text/html, application/protobuf").await;
    // The envelope: the trace as field 1, and metrics that say nothing as field 2.
    let message = trace.encode_to_vec();
    let mut expected = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut expected);
    expected.extend(message);
    expected.extend([0x12, 0]);
    assert_eq!(second, expected);

    for version in ["", "v2/"] {
        let (status, problem) =
            observer.get(&format!("/tempo/api/{version}traces/{}", ID.replace("abc", "123"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
        let (status, problem) = observer.get(&format!("/tempo/api/{version}traces/xyz")).await;
        assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("trace_id")));
    }
    let (status, problem) = observer.get("/tempo/api/v2/traces/abc?q=%7B%20.a%20%3D%201%20%7D").await;
    assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("q")));
}

#[tokio::test]
async fn a_search_by_traceql_shows_the_spans_that_fit() {
    let observer = traced().await;
    let query = "q=%7B%20resource.service.name%20%3D%20%22links%22%20%26%26%20span.onefold.attempt%20%3D%202%20%26%26%20status%20%3D%20error%20%7D";
    let (_, answer) = observer
        .get(&format!("/tempo/api/search?{query}&limit=20&spss=3&start=1767225000&end=1767226000"))
        .await;
    let found = json!({
        "traceID": ID, "rootServiceName": "links", "rootTraceName": "GET", "startTimeUnixNano": "1767225600000000000",
        "durationMs": 2000,
        "spanSets": [{
            "spans": [{
                "spanID": "0000000000000002", "name": "SELECT", "startTimeUnixNano": "1767225600000000000",
                "durationNanos": "2000000000",
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "links"}},
                    {"key": "onefold.attempt", "value": {"intValue": "2"}},
                ],
            }],
            "matched": 1,
        }],
    });
    let expected =
        json!({ "traces": [found], "metrics": { "inspectedTraces": 1, "completedJobs": 1, "totalJobs": 1 } });
    assert_eq!(answer, expected);
    assert_eq!(ids(&observer, "q=%7B%7D").await, ["def", "abc"]);
    assert_eq!(ids(&observer, "q=%7B%7D&limit=1").await, ["def"]);
    assert_eq!(ids(&observer, "q=%7Bduration%3E1s%7D").await, ["abc"]);
    assert_eq!(ids(&observer, "q=%7Bduration%3C%3D1s%7D").await, ["def", "abc"]);
    // The trace failed, and in another span than this.
    assert!(ids(&observer, "q=%7Bname%3D%22GET%22%26%26status%3Derror%7D").await.is_empty());
    assert!(
        ids(&observer, "q=%7Bspan.service.name%3D%22links%22%7D").await.is_empty(),
        "the resource has it"
    );
    assert!(
        ids(&observer, "q=%7Bresource.db.system%3D%22postgresql%22%7D").await.is_empty(),
        "the span has it"
    );
    assert_eq!(ids(&observer, "q=%7B.db.system%3D%22postgresql%22%7D").await, ["abc"]);
}

#[tokio::test]
async fn a_search_by_tags_shows_traces_alone() {
    let observer = traced().await;
    let (_, answer) = observer
        .get(
            "/tempo/api/search?tags=service.name%3D%22links%22+name%3DSELECT&minDuration=1.5s&maxDuration=1m",
        )
        .await;
    let found = json!({
        "traceID": ID, "rootServiceName": "links", "rootTraceName": "GET", "startTimeUnixNano": "1767225600000000000",
        "durationMs": 2000,
    });
    assert_eq!(answer["traces"], json!([found]));
    assert_eq!(ids(&observer, "").await, ["def", "abc"]);
    assert_eq!(ids(&observer, "tags=service.instance.id%3Dapp-b").await, ["def"]);
    assert_eq!(ids(&observer, "maxDuration=1s").await, ["def"]);
    assert_eq!(ids(&observer, "tags=error%3Dtrue").await, ["abc"]);
    for (search, parameter) in [
        ("q=%7B.a%3D1%7C%7C.b%3D2%7D", "q"),
        ("q=%7B.a%3D~1%7D", "q"),
        ("tags=a", "tags"),
        ("minDuration=5", "minDuration"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("start=soon", "start"),
        ("spss=x", "spss"),
    ] {
        let (status, problem) = observer.get(&format!("/tempo/api/search?{search}")).await;
        assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!(parameter)), "{search}");
    }
}

#[tokio::test]
async fn tags_and_their_values_are_listed() {
    let observer = traced().await;
    let resource = json!(["onefold.role", "onefold.zone", "service.instance.id", "service.name"]);
    let own = json!(["db.system", "http.response.status_code", "onefold.attempt", "onefold.tier"]);
    let intrinsic = json!(["duration", "name", "status", "traceDuration"]);
    let (_, scopes) = observer.get("/tempo/api/v2/search/tags?start=1&end=1767226000&limit=5000").await;
    let expected = json!({ "scopes": [
        {"name": "resource", "tags": resource}, {"name": "span", "tags": own}, {"name": "intrinsic", "tags": intrinsic},
    ], "metrics": {} });
    assert_eq!(scopes, expected);
    let (_, span) = observer.get("/tempo/api/v2/search/tags?scope=span").await;
    assert_eq!(span, json!({ "scopes": [{"name": "span", "tags": own}], "metrics": {} }));
    let (_, flat) = observer.get("/tempo/api/search/tags?scope=resource").await;
    assert_eq!(flat, json!({ "tagNames": resource, "metrics": {} }));
    let (status, _) = observer.get("/tempo/api/search/tags?scope=other").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    for (tag, values) in [
        ("service.name", json!(["links"])),
        ("service.instance.id", json!(["app-a", "app-b", "balancer-1"])),
        ("name", json!(["GET", "SELECT"])),
        ("status", json!(["error"])),
        ("http.response.status_code", json!(["200"])),
        // As Grafana writes `resource.onefold.zone`, and one with a character that it must encode.
        ("resource%252Eonefold.zone", json!(["a"])),
        ("a%252Fb", json!([])),
    ] {
        let (_, answer) = observer.get(&format!("/tempo/api/search/tag/{tag}/values")).await;
        assert_eq!(answer, json!({ "tagValues": values, "metrics": {} }), "{tag}");
    }
    for (tag, values) in [
        ("span.onefold.attempt", json!([{"type": "int", "value": "2"}])),
        (".db.system", json!([{"type": "string", "value": "postgresql"}])),
        ("resource.db.system", json!([])),
        ("status", json!([{"type": "keyword", "value": "error"}])),
        ("resource.service.name", json!([{"type": "string", "value": "links"}])),
    ] {
        let (_, answer) = observer.get(&format!("/tempo/api/v2/search/tag/{tag}/values")).await;
        assert_eq!(answer, json!({ "tagValues": values, "metrics": {} }), "{tag}");
    }
}

#[tokio::test]
async fn it_says_that_it_is_there() {
    let observer = observer();
    assert_eq!(bytes(&observer, "/tempo/api/echo", "*/*").await.1, "echo");
    assert_eq!(bytes(&observer, "/tempo/ready", "*/*").await.1, "ready");
    let (_, build) = observer.get("/tempo/api/status/buildinfo").await;
    assert_eq!(build["version"], "2.1.0");
}
