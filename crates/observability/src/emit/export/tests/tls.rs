//! A collector behind TLS: who proves to be it gets everything, who does not gets nothing, and neither holds up a
//! request.

use super::{Node, PATIENCE};
use crate::emit::Config;
use crate::emit::export::destination::Destination;
use crate::emit::export::grpc::{Client, Refusal, Signal};
use crate::emit::export::testing::Collector;
use crate::tls_testing::Authority;
use bytes::Bytes;
use onefold_core::topology::Fault;
use onefold_core::{Role, Secret, TaskGroup, TraceContext};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Listens; answers the address under a name, too.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("https://localhost:{port}"))
}

fn trusting(authority: &Authority, otlp: &str) -> Config {
    Config { otlp: otlp.into(), ca: Some(authority.file()), ..Config::default() }
}

fn destination(config: &Config) -> Result<Destination, Fault> {
    Destination::of(&config.collectors().unwrap()[0])
}

#[tokio::test]
async fn a_collector_that_proves_its_name_gets_all_and_is_shown_the_headers() {
    let (tasks, authority) = (TaskGroup::new(), Authority::new());
    let (listener, otlp) = listen().await;
    let tls = authority.acceptor("localhost", b"h2");
    let collector = Collector::serve_through(listener, Some(tls), &tasks);
    let headers = BTreeMap::from([("Authorization".to_owned(), Secret::new("Bearer hunter2"))]);
    let config = Config { headers, ..trusting(&authority, &otlp) };
    assert!(!format!("{config:?}").contains("hunter2"));
    let node = Node::start_with("app-a", Role::App, &config);
    node.works(|| drop(TraceContext::root(true).enter(|| tracing::info_span!("work"))));
    node.flush().await;
    assert_eq!(collector.names(), ["work"]);
    assert_eq!(collector.with(|got| got.authorization.clone()).unwrap(), "Bearer hunter2");
    node.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_and_the_reason_names_the_address_and_the_fix() {
    let (tasks, ours, theirs) = (TaskGroup::new(), Authority::new(), Authority::new());
    let (listener, otlp) = listen().await;
    let collector = Collector::serve_through(listener, Some(theirs.acceptor("localhost", b"h2")), &tasks);
    let destination = Arc::new(destination(&trusting(&ours, &otlp)).unwrap());
    let mut client = Client::new(destination, Signal::Traces, tasks.clone()).unwrap();
    let Err(Refusal::Later(why)) = client.export(Bytes::new()).await else { panic!("it was taken") };
    assert!(why.starts_with(&format!("{otlp} shows a certificate that is not trusted")), "{why}");
    assert!(why.ends_with("name the file of the authority that issued it in telemetry.ca"), "{why}");
    assert_eq!(collector.with(|got| got.traces.len()), 0);
}

#[tokio::test]
async fn a_collector_that_never_shakes_hands_costs_spans_and_no_request_waits() {
    let authority = Authority::new();
    // The system takes the connection; nobody reads from it.
    let (_listener, otlp) = listen().await;
    let node = Node::start_with("app-a", Role::App, &trusting(&authority, &otlp));
    let long = "x".repeat(4000);
    // Each round is 3 MB, and little more than 8 MiB may wait.
    let mut rounds = 0;
    while node.dropped_spans() == 0 {
        rounds += 1;
        assert!(rounds < 20, "nothing is dropped, so it is all kept");
        node.works(|| {
            for _ in 0..750 {
                drop(TraceContext::root(true).enter(|| tracing::info_span!("work", text = long.as_str())));
            }
        });
        assert!(!node.emitter.flush(Duration::from_millis(50)).await, "nobody takes it");
    }
    assert!(rounds > 2, "dropped while there was room");
    node.tasks.stop(PATIENCE).await;
}

#[test]
fn the_file_of_an_authority_that_is_missing_is_named() {
    let config = Config {
        otlp: "https://localhost:4317".into(),
        ca: Some("/nowhere/ca.pem".into()),
        ..Config::default()
    };
    let fault = destination(&config).unwrap_err().to_string();
    assert!(fault.starts_with("telemetry.ca: /nowhere/ca.pem cannot be used"), "{fault}");
}
