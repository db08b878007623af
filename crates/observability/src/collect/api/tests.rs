use crate::collect::testing::{T0, failed, line, logs_request, span, spans_request, text};
use crate::collect::{Collector, Config};
use crate::otlp::logs::LogRecord;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt as _;

pub(super) struct Observer {
    pub(super) collector: Collector,
    _directory: tempfile::TempDir,
}

pub(super) fn observer() -> Observer {
    let directory = tempfile::tempdir().unwrap();
    let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
    let collector =
        Collector::open(Config::default(), directory.path(), &tasks, &metrics, &Clock::system()).unwrap();
    Observer { collector, _directory: directory }
}

impl Observer {
    pub(super) async fn send_spans(&self, node: &str, spans: Vec<crate::otlp::trace::Span>) {
        self.collector.take_traces(&spans_request(node, spans));
        self.collector.flush().await;
    }

    async fn send_logs(&self, node: &str, lines: Vec<LogRecord>) {
        self.collector.take_logs(&logs_request(node, lines));
        self.collector.flush().await;
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.collector.router().oneshot(request).await.unwrap();
        let status = response.status();
        if status.is_client_error() {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn a_trace_is_listed_and_shown_as_the_console_expects_it() {
    let observer = observer();
    let mut child = failed(span(0xabc, 2, 1, "SELECT", 0), "no row");
    child.start_time_unix_nano = T0 + 1_500_000;
    child.end_time_unix_nano = T0 + 2_000_000;
    child.attributes.push(text("onefold.kept", "error"));
    observer.send_spans("app-a", vec![child]).await;
    observer.send_spans("balancer-1", vec![span(0xabc, 1, 0, "GET", 0)]).await;
    let traced = LogRecord { trace_id: 0xabc_u128.to_be_bytes().to_vec(), ..line(0, 17, "it broke") };
    observer.send_logs("app-a", vec![traced, line(0, 9, "something else")]).await;

    let (status, list) = observer.get("/api/traces?status=error&min_ms=1000&q=NO+row").await;
    assert_eq!(status, StatusCode::OK);
    let id = "00000000000000000000000000000abc";
    let expected = serde_json::json!({"traces": [{
        "trace_id": id, "root": {"service": "links", "node": "balancer-1", "operation": "GET", "tier": "app"},
        "start": "2026-01-01T00:00:00.000Z", "duration_ms": 1000.0, "spans": 2, "errors": 1, "status": "error",
        "nodes": ["balancer-1", "app-a"], "kept": "error"}], "truncated": false});
    assert_eq!(list, expected);

    let (_, trace) = observer.get(&format!("/api/traces/{id}")).await;
    let child = &trace["spans"][1];
    assert_eq!(
        (&child["span_id"], &child["parent_span_id"]),
        (&"0000000000000002".into(), &"0000000000000001".into())
    );
    assert_eq!(
        (&child["offset_ms"], &child["duration_ms"], &child["status"]),
        (&1.5.into(), &0.5.into(), &"error".into())
    );
    assert_eq!(child["resource"]["onefold.zone"], "a");
    assert_eq!(trace["spans"][0]["parent_span_id"], Value::Null);
    assert_eq!(trace["logs"].as_array().unwrap().len(), 1);
    assert_eq!(trace["logs"][0]["body"], "it broke");
    assert_eq!(trace["linked"], serde_json::json!([]));
    let (_, operations) = observer.get("/api/operations").await;
    assert_eq!(operations["services"][0]["operations"], serde_json::json!(["GET", "SELECT"]));
    let (_, retention) = observer.get("/api/retention").await;
    assert_eq!(
        (&retention["signals"][0]["signal"], &retention["signals"][0]["count"]),
        (&"spans".into(), &2.into())
    );
}

#[tokio::test]
async fn logs_are_paged_by_the_cursor_that_the_answer_gives() {
    let observer = observer();
    observer.send_logs("app-a", (0..5).map(|n| line(n, 9, &format!("line {n}"))).collect()).await;
    let (_, first) = observer.get("/api/logs?limit=3&level=info").await;
    assert_eq!(first["logs"][0]["body"], "line 4");
    assert_eq!(first["logs"][0]["target"], "onefold_queue");
    assert_eq!(first["logs"][0]["trace_id"], Value::Null);
    let next = first["next"].as_str().unwrap();
    let (_, second) = observer.get(&format!("/api/logs?limit=3&level=info&before={next}")).await;
    assert_eq!((&second["logs"][1]["body"], &second["next"]), (&"line 0".into(), &Value::Null));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let observer = observer();
    for (path, parameter) in [
        ("/api/traces?limit=0", "limit"),
        ("/api/traces?limit=201", "limit"),
        ("/api/traces?status=bad", "status"),
        ("/api/traces?min_ms=-1", "min_ms"),
        ("/api/traces?start=yesterday", "start"),
        ("/api/traces?attribute=x", "attribute"),
        ("/api/traces?servce=links", "servce"),
        ("/api/traces/xyz", "trace_id"),
        ("/api/logs?level=loud", "level"),
        ("/api/logs?before=1", "before"),
        ("/api/logs?trace_id=1", "trace_id"),
        ("/api/logs/tail?level=1", "level"),
    ] {
        let (status, problem) = observer.get(path).await;
        assert_eq!(
            (status, &problem["parameter"]),
            (StatusCode::BAD_REQUEST, &parameter.into()),
            "{path}: {problem}"
        );
        assert!(problem["detail"].as_str().unwrap().starts_with(parameter), "{problem}");
    }
    let (status, _) = observer.get("/api/traces/00000000000000000000000000000abc").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_tail_shows_lines_that_fit_as_they_come() {
    let observer = observer();
    let request = Request::get("/api/logs/tail?level=warn&q=BROKE").body(Body::empty()).unwrap();
    let response = observer.collector.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    observer.send_logs("app-a", vec![line(0, 9, "it broke not"), line(1, 17, "it broke")]).await;
    let mut body = response.into_body();
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap().unwrap().unwrap();
    let event = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
    assert!(event.starts_with("event: log\ndata: {") && event.contains(r#""body":"it broke","#), "{event}");
}

#[tokio::test]
async fn metrics_and_alerts_are_shown_as_the_console_expects_them() {
    let observer = observer();
    let now = Clock::system().wall().duration_since(std::time::UNIX_EPOCH).unwrap();
    let (now_ms, now_s) = (i64::try_from(now.as_millis()).unwrap(), now.as_secs());
    let gauge = crate::collect::samples::testing::gauge("app-a", "load", 1, now_ms, 0.5);
    observer.collector.samples().write(&gauge).unwrap();

    let (status, instant) = observer.get("/api/metrics?query=load").await;
    assert_eq!((status, &instant["resultType"]), (StatusCode::OK, &"vector".into()), "{instant}");
    assert_eq!(instant["result"][0]["value"][1], "0.5");
    let path = format!("/api/metrics?query=load&start={}&end={}&step=1s", now_s - 5, now_s + 5);
    let (_, range) = observer.get(&path).await;
    assert_eq!(
        (&range["resultType"], &range["result"][0]["values"][0][1]),
        (&"matrix".into(), &"0.5".into())
    );
    for (path, parameter) in [
        ("/api/metrics", "query"),
        ("/api/metrics?query=rate(load)", "query"),
        ("/api/metrics?query=load&start=5", "end"),
        ("/api/metrics?query=load&end=5", "end"),
        ("/api/metrics?query=load&start=5&end=1", "end"),
        ("/api/metrics?query=load&start=1&end=5&step=0", "step"),
        ("/api/metrics?query=load&nonsense=1", "nonsense"),
    ] {
        let (status, problem) = observer.get(path).await;
        assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &parameter.into()), "{path}");
    }

    let (status, alerts) = observer.get("/api/alerts").await;
    assert_eq!((status, &alerts["rules_from"]), (StatusCode::OK, &"built in".into()));
    let first = &alerts["alerts"][0];
    assert_eq!((&first["state"], &first["severity"]), (&"inactive".into(), &"page".into()), "{first}");
    assert_eq!(alerts["notifications"]["sent"], 0);
    assert_eq!(observer.get("/api/v1/query?query=load").await.1["status"], "success");
}
