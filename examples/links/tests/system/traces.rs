//! One request is one trace at the observer, on every node that it crossed.

use crate::client::{Client, header};
use crate::console::Console;
use crate::{BINARY, start};
use onefold::testing::{TestSystem, eventually};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const FOUND: Duration = Duration::from_secs(20);

/// The trace that a request was given, and its answer's status.
async fn traced(request: RequestBuilder) -> (String, StatusCode) {
    let response = request.send().await.unwrap();
    let trace = header(&response, "traceparent").split('-').nth(1).unwrap().to_owned();
    (trace, response.status())
}

/// The spans of a trace as they are known now.
async fn spans(console: &Console, trace: &str) -> Vec<Value> {
    let response = console.bare(Method::GET, &format!("/api/traces/{trace}")).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    answer["spans"].as_array().cloned().unwrap_or_default()
}

/// What a trace shows of the tiers, once it shows all of these.
async fn with_tiers(console: &Console, trace: &str, tiers: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    let wanted: BTreeSet<&str> = tiers.iter().copied().collect();
    eventually(FOUND, &format!("the trace {trace} shows {tiers:?}"), async || {
        found = spans(console, trace).await;
        let shown: BTreeSet<&str> = found.iter().filter_map(|span| span["tier"].as_str()).collect();
        shown.is_superset(&wanted)
    })
    .await;
    found
}

fn of_tier<'a>(spans: &'a [Value], tier: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["tier"] == tier).collect()
}

#[tokio::test]
async fn a_request_is_one_trace_over_all_tiers() {
    let system = start().await;
    let console = Console::of(&system).await;
    let mut client = Client::of(&system);

    let body = json!({ "url": "https://example.com", "code": "traced" });
    let (trace, status) = traced(client.request(Method::POST, "/links").json(&body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let tiers = ["balancer", "app", "database", "queue", "worker"];
    let found = with_tiers(&console, &trace, &tiers).await;
    let roots: Vec<&Value> = found.iter().filter(|span| span["parent_span_id"].is_null()).collect();
    assert_eq!(roots.len(), 1, "one tree: {roots:?}");
    assert_eq!(roots[0]["tier"], "balancer");
    let app = of_tier(&found, "app");
    assert!(app.iter().all(|span| span["node"].as_str().unwrap().starts_with("app-")), "{app:?}");
    assert!(
        of_tier(&found, "worker").iter().all(|span| span["node"].as_str().unwrap().starts_with("worker-"))
    );

    // Nobody has asked for it since it was made.
    let request = client.request(Method::GET, "/traced").header("onefold-consistency", "bounded=60s");
    let (trace, status) = traced(request).await;
    assert_eq!(status, StatusCode::FOUND);
    let found = with_tiers(&console, &trace, &["balancer", "app", "cache", "database"]).await;
    let read = of_tier(&found, "database");
    let asked = |span: &&&Value| span["attributes"]["onefold.consistency.asked"].is_string();
    let given = read.iter().find(asked).unwrap_or_else(|| panic!("a read says its level: {read:?}"));
    assert!(given["attributes"]["onefold.consistency.given"].is_string(), "{given}");
    assert!(given["attributes"]["onefold.server.role"].is_string(), "{given}");

    // A rate wants two samples of a counter that is there already.
    eventually(FOUND, "the picture has edges", async || {
        client.get("/traced").await;
        let topology = console.get("/api/topology").await;
        let edges = topology["edges"].as_array().unwrap();
        edges
            .iter()
            .any(|edge| edge["kind"] == "http" && edge["from"] == "balancer" && edge["p95_ms"].is_f64())
            && edges
                .iter()
                .any(|edge| edge["kind"] == "sql" && edge["to"].as_str().unwrap().starts_with("postgres-"))
    })
    .await;
}

#[tokio::test]
async fn a_request_that_fails_is_there_in_full_though_nobody_sampled_it() {
    let system = TestSystem::start_with(BINARY, "[telemetry]\nsample = 0.0").await;
    let console = Console::of(&system).await;
    let client = Client::of(&system);
    let (well, status) = traced(client.request(Method::GET, "/links")).await;
    assert_eq!(status, StatusCode::OK);
    system.primary().await.batch_execute("alter table links rename to hidden").await.unwrap();
    let (ill, status) = traced(client.request(Method::GET, "/links")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let found = with_tiers(&console, &ill, &["balancer", "app", "database"]).await;
    assert!(found.iter().any(|span| span["status"] == "error"), "{found:?}");
    let failed = console.get("/api/traces?status=error").await;
    assert!(failed["traces"].as_array().unwrap().iter().any(|trace| trace["trace_id"] == ill), "{failed}");
    assert!(spans(&console, &well).await.is_empty(), "what went well was not sampled");
}
