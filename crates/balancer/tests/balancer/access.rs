//! The access log: one event for each request, whatever became of it; and which tries have spans.

use crate::fleet::{Fleet, eventually, quick};
use crate::node::Node;
use onefold_core::TraceContext;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

type Line = HashMap<String, String>;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

/// The spans of tries.
#[derive(Clone, Default)]
struct Tries(Arc<Mutex<Vec<Line>>>);

struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if event.metadata().target() != "onefold_balancer::access" {
            return;
        }
        let mut line = Line::new();
        event.record(&mut Fields(&mut line));
        let span = cx.event_span(event).map_or("", |span| span.name());
        line.insert("span".to_owned(), span.to_owned());
        let context = TraceContext::current().map(TraceContext::trace_id).unwrap_or_default();
        line.insert("context".to_owned(), context);
        self.0.lock().unwrap().push(line);
    }
}

impl<S: Subscriber> Layer<S> for Tries {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "try" {
            let mut line = Line::new();
            attributes.record(&mut Fields(&mut line));
            self.0.lock().unwrap().push(line);
        }
    }
}

impl Tries {
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Log {
    /// The lines of one request; other tests of this process log too.
    fn of(&self, request_id: &str) -> Vec<Line> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|line| line["onefold.request_id"] == request_id).cloned().collect()
    }
}

#[tokio::test]
async fn each_request_is_one_line_with_its_trace() {
    let (log, tries) = (Log::default(), Tries::default());
    let subscriber = tracing_subscriber::registry().with(log.clone()).with(tries.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let dead = Node::plain("dead", "a").await;
    let good = Node::plain("good", "b").await;
    dead.kill().await;
    let fleet = Fleet::start(quick(), &[&dead, &good]);
    let body =
        "POST /orders?secret=1 HTTP/1.1\r\nhost: a\r\nx-request-id: first\r\ncontent-length: 3\r\n\r\nabc";
    let answer = fleet.client().await.ask(body).await;
    eventually("the first line", || log.of("first").len() == 1).await;
    let line = log.of("first").remove(0);
    let expected = [
        ("http.request.method", "POST"),
        ("url.path", "/orders"),
        ("http.response.status_code", "200"),
        ("onefold.endpoint", "good"),
        ("onefold.attempts", "2"),
        ("onefold.retry.reason", "connect"),
        ("http.request.body.size", "3"),
        ("http.response.body.size", "4"),
        ("onefold.complete", "true"),
        ("client.address", "127.0.0.1"),
        ("span", "request"),
    ];
    for (field, value) in expected {
        assert_eq!(line[field], value, "{field} of {line:?}");
    }
    assert_eq!(line["context"], answer.header("traceparent").unwrap()[3..35]);
    let spans = tries.take();
    let tried: Vec<_> =
        spans.iter().map(|span| (&*span["onefold.attempt"], &*span["onefold.endpoint"])).collect();
    assert_eq!(tried, [("1", "dead"), ("2", "good")]);
    assert_eq!(spans[1]["onefold.retry.reason"], "connect");
    assert_eq!(spans[1]["onefold.retry.endpoint"], "dead");

    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    for _ in 0..8 {
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\ntraceparent: {unsampled}\r\n\r\n");
        assert_eq!(fleet.client().await.ask(&head).await.status, 200);
    }
    let spans = tries.take();
    assert!(
        spans.iter().all(|span| span["onefold.attempt"] != "1"),
        "a first try is the request's own: {spans:?}"
    );

    let refused =
        fleet.raw(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nx-request-id: second\r\n\r\n").await.unwrap();
    let id = refused.header("x-request-id").unwrap();
    eventually("the line of a refusal", || log.of(id).len() == 1).await;
    let line = log.of(id).remove(0);
    assert_eq!(line["http.response.status_code"], "400");
    assert_eq!(line["http.request.method"], "_OTHER");
    assert_eq!(line["error.type"], "the request has several Hosts");
}

#[tokio::test]
async fn what_a_try_took_leads_to_its_trace() {
    let node = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let leads = || {
        let rendered = fleet.metrics.render();
        let mut buckets =
            rendered.lines().filter(|line| line.starts_with("onefold_balancer_endpoint_seconds_bucket"));
        buckets.any(|line| line.contains(&format!("trace_id=\"{trace}\"")))
    };
    for (flags, is_expected) in [("00", false), ("01", true)] {
        let head =
            format!("GET / HTTP/1.1\r\nhost: a\r\ntraceparent: 00-{trace}-b7ad6b7169203331-{flags}\r\n\r\n");
        assert_eq!(fleet.client().await.ask(&head).await.status, 200);
        assert_eq!(leads(), is_expected, "{flags}");
    }
}
