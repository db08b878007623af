//! What a node writes and keeps, seen from outside of the recorder.

use super::*;
use onefold_core::{NodeName, Role, TraceContext};
use serde_json::Value;
use std::sync::Mutex;
use tracing::Instrument as _;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

pub(super) fn resource(node: &str, role: Role) -> Resource {
    Resource {
        service: "links".to_owned(),
        version: "1".to_owned(),
        node: node.parse::<NodeName>().unwrap(),
        role,
        zone: "a".parse().unwrap(),
    }
}

fn written() -> Vec<Value> {
    let text = String::from_utf8(std::mem::take(&mut *WRITTEN.lock().unwrap())).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn recorder(config: &Config) -> (Recorder, Emitter) {
    let out = |line: &[u8]| WRITTEN.lock().unwrap().extend_from_slice(line);
    build(&resource("app-a", Role::App), config, &Metrics::new(), Clock::system(), out).unwrap()
}

#[tokio::test]
async fn a_line_carries_its_trace_its_node_and_the_attributes_of_its_spans() {
    let _guard = tracing::subscriber::set_default(recorder(&Config::default()).0);
    let context = TraceContext::root(true);
    let work = async {
        tracing::warn!(attempt = 2, http.route = "inner", "it \"broke\"\n");
        tracing::debug!("too small to be seen");
    };
    let span = context.enter(|| tracing::info_span!("GET /{code}", http.route = "/{code}", user.id = 7));
    context.scope(work.instrument(span)).await;

    let lines = written();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["trace_id"], context.trace_id());
    assert_eq!(line["span_id"], context.span_id());
    assert_eq!(line["severity"], "WARN");
    assert_eq!(line["body"], "it \"broke\"\n");
    assert_eq!(line["node"], "app-a");
    assert_eq!(line["span"], "GET /{code}");
    assert_eq!(line["attributes"]["attempt"], 2);
    assert_eq!(line["attributes"]["user.id"], 7);
    assert_eq!(line["attributes"]["http.route"], "inner", "the event's own counts");
}

#[test]
fn secrets_stand_on_no_line() {
    let config = Config { redact: vec!["iban".to_owned()], ..Config::default() };
    let _guard = tracing::subscriber::set_default(recorder(&config).0);
    let _span =
        tracing::info_span!("pay", customer.iban = "DE00", password = tracing::field::Empty).entered();
    tracing::Span::current().record("password", "hunter2");
    tracing::info!(session.token = ?"t0ken", amount = 3, "paid");
    let lines = written();
    assert_eq!(lines[0]["attributes"], serde_json::json!({ "amount": 3 }));
}

#[test]
fn the_filter_rules_lines_and_never_the_structure_of_a_trace() {
    let config = Config { log: "error".to_owned(), ..Config::default() };
    let _guard = tracing::subscriber::set_default(recorder(&config).0);
    assert!(!tracing::info_span!("work").is_disabled());
    assert!(tracing::debug_span!("detail").is_disabled());
    assert!(!tracing::enabled!(tracing::Level::WARN));
}

#[test]
fn a_call_that_nobody_asked_for_is_not_sampled() {
    let _guard = tracing::subscriber::set_default(recorder(&Config::default()).0);
    let sampled = |span: tracing::Span| span.in_scope(|| TraceContext::current().unwrap().is_sampled());
    assert!(!sampled(tracing::info_span!("poll", otel.kind = "client")));
    let call = || tracing::info_span!("query", otel.kind = "client");
    assert!(sampled(TraceContext::root(true).enter(call)), "a request's call is the request's");
    assert!(sampled(tracing::info_span!("of the user's own")));
}

#[test]
fn a_value_that_logs_while_it_is_printed_does_no_harm() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let _inner = tracing::info_span!("printing").entered();
            tracing::info!("printed");
            f.write_str("chatty")
        }
    }
    // `tracing` itself holds back what is nested under a subscriber of one thread; each test is a process of its own.
    tracing::subscriber::set_global_default(recorder(&Config::default()).0).unwrap();
    let span = tracing::info_span!("outer", value = ?Chatty);
    span.in_scope(|| tracing::info!(again = ?Chatty, "done"));
    let bodies: Vec<Value> = written().into_iter().map(|line| line["body"].clone()).collect();
    assert_eq!(bodies, ["printed", "printed", "done"]);
}

#[test]
fn a_filter_that_does_not_parse_is_refused_by_name() {
    let config = Config { log: "a=b=c".to_owned(), ..Config::default() };
    let refused = build(&resource("app-a", Role::App), &config, &Metrics::new(), Clock::system(), |_| ())
        .err()
        .unwrap();
    assert!(refused.to_string().contains("a=b=c"), "{refused}");
}
