use super::*;
use crate::collect::intake::Intake;
use crate::collect::testing::{SECOND, T0, attribute, failed, linking, span, spans_request, text};
use crate::otlp::common::any_value::Value;
use crate::otlp::trace;
use std::time::Duration;

const WIDE: Bounds = Bounds { bytes_max: 1 << 30, age_max: Duration::from_hours(24) };

fn open(path: &Path) -> Spans {
    Spans::open(path, WIDE, Clock::system()).unwrap()
}

fn send(spans: &Spans, node: &str, sent: Vec<trace::Span>) -> Intake<SpanKey> {
    let intake = Intake::read(&spans_request(node, sent), judge).unwrap();
    let answer =
        Intake { items: Vec::new(), ..Intake::read(&spans_request(node, Vec::new()), judge).unwrap() };
    let answer = Intake { rejected: intake.rejected, why: intake.why, ..answer };
    spans.offer(intake).unwrap();
    answer
}

fn ids(found: &Found) -> Vec<u128> {
    found.traces.iter().map(|trace| trace.trace_id).collect()
}

#[tokio::test]
async fn a_trace_from_several_nodes_is_read_as_it_was_sent() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    let mut child = failed(span(7, 2, 1, "GET /{code}", 0), "it broke");
    child.attributes.push(text("url.path", "/abc"));
    child.attributes.push(text("http.route", "/{code}"));
    send(&spans, "app-a", vec![child]);
    spans.flush().await;
    send(&spans, "balancer-1", vec![span(7, 1, 0, "GET", 0), span(8, 9, 0, "other", 1)]);
    spans.flush().await;

    let trace = spans.trace(7).unwrap().unwrap();
    let names: Vec<&str> = trace.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET", "GET /{code}"]);
    let child = &trace.spans[1];
    assert_eq!((child.parent_span_id, child.status, child.kind), (Some(1), "error", "server"));
    assert_eq!(
        (child.node.as_deref(), child.role.as_deref(), child.zone.as_deref()),
        (Some("app-a"), Some("app"), Some("a"))
    );
    assert_eq!(child.tier.as_deref(), Some("app"));
    assert_eq!(child.attributes["url.path"], "/abc");
    assert_eq!(child.attributes["http.response.status_code"], 200);
    assert_eq!(child.events[0].attributes["exception.message"], "it broke");
    assert_eq!(child.scope, "onefold");
    let summary = &spans.search(&Query::default()).unwrap().traces[1];
    assert_eq!((summary.trace_id, summary.spans, summary.errors, summary.status), (7, 2, 1, "error"));
    assert_eq!(
        (summary.root.operation.as_str(), summary.root.node.as_deref()),
        ("GET /{code}", Some("balancer-1"))
    );
    assert!(spans.trace(6).unwrap().is_none());
}

#[tokio::test]
async fn every_condition_finds_its_trace_and_no_other() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    let mut special = span(1, 1, 0, "POST /links", 1);
    special.attributes.push(attribute("size", Value::DoubleValue(1.5)));
    special.attributes.push(text("tenant", "Blue"));
    special.end_time_unix_nano += 4 * SECOND;
    send(&spans, "app-a", vec![special]);
    send(&spans, "app-b", vec![failed(span(2, 1, 0, "GET /", 2), "no Such row")]);
    send(&spans, "app-c", (3..300).map(|id| span(id, 1, 0, "GET /", 3)).collect());
    spans.flush().await;
    let finds = |change: fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        ids(&spans.search(&query).unwrap())
    };
    let own = |text: &str| Some(text.to_owned());
    assert_eq!(finds(|query| query.operation = Some("POST /links".to_owned())), [1]);
    assert_eq!(finds(|query| query.node = Some("app-b".to_owned())), [2]);
    assert_eq!(finds(|query| query.attributes = vec![("size".to_owned(), "1.5".to_owned())]), [1]);
    assert_eq!(finds(|query| query.attributes = vec![("tenant".to_owned(), "Green".to_owned())]), [0; 0]);
    assert_eq!(finds(|query| query.text = Some("such ROW".to_owned())), [2]);
    assert_eq!(finds(|query| query.status = Some(Status::Error)), [2]);
    assert_eq!(finds(|query| query.duration_min_ns = 2 * SECOND), [1]);
    assert_eq!(finds(|query| query.end_ns = T0 + SECOND), [1]);
    assert_eq!(finds(|query| query.service = Some("nobody".to_owned())), [0; 0]);
    // The name is of one span, the node of another.
    let both = Query { operation: own("POST /links"), node: own("app-b"), ..Query::default() };
    assert_eq!(ids(&spans.search(&both).unwrap()), [0; 0]);
    let failed = |attribute: (&str, &str), text: &str| Query {
        status: Some(Status::Error),
        node: own("app-b"),
        attributes: vec![(attribute.0.to_owned(), attribute.1.to_owned())],
        text: own(text),
        ..Query::default()
    };
    let code = ("http.response.status_code", "200");
    assert_eq!(ids(&spans.search(&failed(code, "NO such")).unwrap()), [2]);
    assert_eq!(ids(&spans.search(&failed(code, "another")).unwrap()), [0; 0]);
    assert_eq!(ids(&spans.search(&failed(("onefold.zone", "b"), "no such")).unwrap()), [0; 0]);
    let all = spans.search(&Query { service: own("links"), ..Query::default() }).unwrap();
    assert_eq!((all.traces.len(), all.truncated), (20, true));
    assert!(all.traces.iter().all(|trace| trace.start == T0 + 3 * SECOND));
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_blocks_fill_up() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    for round in 0..5_u64 {
        let sent =
            (0..100_u64).map(|n| span(u128::from(n % 10 + 1), round * 100 + n + 1, 0, "n", n)).collect();
        send(&spans, "app-a", sent);
        spans.flush().await;
    }
    assert_eq!(spans.retention().count, 500);
    spans.end();
    let again = open(temporary.path());
    assert_eq!(again.trace(3).unwrap().unwrap().spans.len(), 50);
    assert_eq!(again.retention().count, 500);
    let blocks = again.segments.newest_first()[0].read(|connection| {
        Ok(connection.query_row("SELECT count(*) FROM block", [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(blocks.unwrap(), 2);
    send(&again, "app-a", vec![span(3, 1000, 0, "late", 500)]);
    again.flush().await;
    assert_eq!(again.trace(3).unwrap().unwrap().spans.len(), 51);
}

#[tokio::test]
async fn spans_that_link_to_a_trace_are_named_with_it() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    send(&spans, "worker-1", vec![linking(span(20, 5, 0, "run job", 3), 10)]);
    send(&spans, "app-a", vec![span(10, 1, 0, "POST /links", 0)]);
    spans.flush().await;
    let trace = spans.trace(10).unwrap().unwrap();
    assert_eq!(trace.linked, [Linked { trace_id: 20, span_id: 5, operation: "run job".to_owned() }]);
    assert_eq!(spans.trace(20).unwrap().unwrap().spans[0].links[0].trace_id, 10);
}

#[tokio::test]
async fn services_are_listed_with_nodes_and_operations() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    send(&spans, "app-b", vec![span(1, 1, 0, "GET /", 0), span(1, 2, 1, "SELECT", 0)]);
    send(&spans, "app-a", vec![span(1, 3, 1, "GET /", 0)]);
    spans.flush().await;
    let services = spans.services().unwrap();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0].nodes, ["app-a", "app-b"]);
    assert_eq!(services[0].operations, ["GET /", "SELECT"]);
}

#[tokio::test]
async fn what_has_no_id_is_rejected_alone_and_what_came_twice_is_shown_once() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    let nameless = trace::Span { trace_id: vec![1; 3], ..span(1, 1, 0, "n", 0) };
    let answer = send(&spans, "app-a", vec![nameless, span(5, 1, 0, "n", 0), span(5, 1, 0, "n", 0)]);
    assert_eq!((answer.rejected, answer.why), (1, Some("a span's trace id is not 16 bytes, or zero")));
    spans.flush().await;
    assert_eq!(spans.trace(5).unwrap().unwrap().spans.len(), 1);
}

#[tokio::test]
async fn a_span_is_bounded_whatever_is_sent() {
    let temporary = tempfile::tempdir().unwrap();
    let spans = open(temporary.path());
    let mut huge = failed(span(1, 1, 0, &"n".repeat(100_000), 0), &"m".repeat(100_000));
    huge.attributes = (0..500).map(|n| text(&format!("key-{n}"), &"v".repeat(10_000))).collect();
    huge.events = (0..500).map(|_| huge.events[0].clone()).collect();
    send(&spans, "app-a", vec![huge]);
    spans.flush().await;
    let trace = spans.trace(1).unwrap().unwrap();
    let kept = &trace.spans[0];
    assert_eq!((kept.attributes.len(), kept.events.len()), (128, 128));
    assert!(kept.attributes["key-0"].as_str().unwrap().ends_with("v…"));
    assert!(serde_json::to_string(&trace).unwrap().len() < 200_000);
}
