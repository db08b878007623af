//! Several collectors: each gets everything, and one that is away, or refuses, or takes nothing costs neither the others
//! nor a request.

use super::{Node, PATIENCE};
use crate::emit::Config;
use crate::emit::config::Collector as Named;
use crate::emit::export::testing::Collector;
use crate::tls_testing::Authority;
use onefold_core::{Role, Secret, TaskGroup, TraceContext};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpListener;

fn node<const N: usize>(collectors: [Named; N]) -> Node {
    Node::start_with("app-a", Role::App, &Config { otlp: collectors.into(), ..Config::default() })
}

fn works(node: &Node, name: &'static str) {
    node.works(|| drop(TraceContext::root(true).enter(|| tracing::info_span!("work", otel.name = name))));
}

#[tokio::test]
async fn each_gets_all_and_is_shown_its_own_headers() {
    let (tasks, authority) = (TaskGroup::new(), Authority::new());
    let (first, plain) = Collector::start(&tasks).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let second = Collector::serve_through(listener, Some(authority.acceptor("localhost", b"h2")), &tasks);
    let node = node([
        Named { key: Some(Secret::new("k3y")), ..Named::at(plain) },
        Named {
            headers: BTreeMap::from([("authorization".to_owned(), Secret::new("Basic abc"))]),
            ca: Some(authority.file()),
            ..Named::at(format!("https://localhost:{port}"))
        },
    ]);
    works(&node, "told to both");
    node.works(|| tracing::warn!(target: "links", "told to both"));
    node.flush().await;
    for (collector, shown) in [(&first, "Bearer k3y"), (&second, "Basic abc")] {
        assert_eq!(collector.names(), ["told to both"]);
        assert_eq!(collector.records().iter().filter(|(target, _)| target == "links").count(), 1);
        assert!(collector.metrics().iter().any(|metric| metric.name == "onefold_telemetry_sent"));
        assert_eq!(collector.with(|got| got.authorization.clone()).unwrap(), shown);
    }
    node.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn one_that_is_away_holds_up_neither_the_others_nor_a_request() {
    let tasks = TaskGroup::new();
    let (there, address) = Collector::start(&tasks).await;
    let absent = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let node = node([Named::at(format!("http://{absent}")), Named::at(address)]);
    works(&node, "first");
    there.span("first").await;
    assert!(!node.emitter.flush(Duration::from_millis(50)).await, "one of them is away");

    // It comes, and gets what waited; the other is told nothing twice.
    let late = Collector::serve(TcpListener::bind(absent).await.unwrap(), &tasks);
    works(&node, "second");
    node.flush().await;
    assert_eq!(late.names(), ["first", "second"]);
    assert_eq!(there.names(), ["first", "second"]);
    assert_eq!(node.dropped_spans(), 0);
    node.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn what_one_refuses_or_has_no_room_for_the_other_gets() {
    let tasks = TaskGroup::new();
    let (takes, address) = Collector::start(&tasks).await;
    let (refuses, other) = Collector::start(&tasks).await;
    refuses.with(|got| got.status = 3);
    // The system takes the connection; nobody reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap();
    let node = node([Named::at(other), Named::at(address), Named::at(format!("http://{silent_at}"))]);
    let long = "x".repeat(4000);
    let mut told = 0;
    // Each round is 2 MB, and 8 MiB may wait for the silent one.
    while node.dropped_by(&silent_at.to_string()) == 0 {
        assert!(told < 20_000, "nothing is dropped, so it is all kept");
        node.works(|| {
            for _ in 0..500 {
                drop(TraceContext::root(true).enter(|| tracing::info_span!("work", text = long.as_str())));
            }
        });
        told += 500;
        node.emitter.flush(Duration::from_millis(50)).await;
        takes.count(told).await;
    }
    assert!(told > 1000, "dropped while there was room");
    assert_eq!(takes.names().len(), told, "each once");
    assert_eq!(refuses.names().len(), 0);
    node.tasks.stop(PATIENCE).await;
}
