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

/// The one span of a tier and kind; of several the first.
fn the<'a>(spans: &'a [Value], tier: &str, kind: &str) -> &'a Value {
    let mut found = spans.iter().filter(|span| span["tier"] == tier && span["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("a {kind} span of {tier} in {spans:?}"))
}

fn has(span: &Value, attributes: &[(&str, Value)]) {
    for (name, value) in attributes {
        assert_eq!(&span["attributes"][*name], value, "{name} of {span}");
    }
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
    has(roots[0], &[("http.response.status_code", json!(201)), ("onefold.attempts", json!(1))]);
    has(the(&found, "app", "server"), &[("http.route", json!("/links"))]);
    let statement = the(&found, "database", "client");
    has(statement, &[("onefold.server", json!("postgres-1")), ("onefold.server.role", json!("primary"))]);
    let (enqueued, job) = (the(&found, "queue", "producer"), the(&found, "worker", "consumer"));
    has(job, &[("onefold.job.kind", json!("count-host.v1")), ("onefold.attempt", json!(1))]);
    assert_eq!(job["links"][0]["span_id"], enqueued["span_id"], "the job leads back to its enqueuer");
    let app = of_tier(&found, "app");
    assert!(app.iter().all(|span| span["node"].as_str().unwrap().starts_with("app-")), "{app:?}");
    assert!(
        of_tier(&found, "worker").iter().all(|span| span["node"].as_str().unwrap().starts_with("worker-"))
    );

    a_read_shows_its_cache_and_its_replica(&console, &mut client).await;

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

/// A replica that has not come far enough leaves a read to the primary: then another link is read.
async fn a_read_shows_its_cache_and_its_replica(console: &Console, client: &mut Client) {
    eventually(FOUND, "a replica serves a read", async || {
        // Nobody has asked for it since it was made.
        let code = client.create("https://example.com/read").await;
        let request = client.request(Method::GET, &format!("/{code}"));
        let (trace, status) = traced(request.header("onefold-consistency", "bounded=60s")).await;
        assert_eq!(status, StatusCode::FOUND);
        let found = with_tiers(console, &trace, &["balancer", "app", "cache", "database"]).await;
        has(the(&found, "app", "server"), &[("http.route", json!("/{code}"))]);
        let loaded = [("onefold.cache.result", json!("miss")), ("onefold.cache.level", json!("load"))];
        has(the(&found, "cache", "internal"), &loaded);
        has(the(&found, "cache", "internal"), &[("onefold.consistency.asked", json!("bounded=60000ms"))]);
        let says = |span: &&&Value| span["attributes"]["onefold.consistency.asked"].is_string();
        let reads = of_tier(&found, "database");
        let read = &reads.iter().find(says).unwrap_or_else(|| panic!("a read: {reads:?}"))["attributes"];
        if read["onefold.server.role"] != "replica" {
            assert_eq!(read["onefold.consistency.given"], "strong", "{read}");
            return false;
        }
        assert!(
            ["postgres-2", "postgres-3"].iter().any(|server| read["onefold.server"] == *server),
            "{read}"
        );
        assert_eq!(read["onefold.consistency.given"], read["onefold.consistency.asked"], "{read}");
        true
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
    for (tier, kind) in [("balancer", "server"), ("app", "server"), ("database", "client")] {
        assert_eq!(the(&found, tier, kind)["status"], "error", "{tier}: {found:?}");
    }
    has(the(&found, "balancer", "server"), &[("http.response.status_code", json!(500))]);
    has(the(&found, "app", "server"), &[("http.route", json!("/links"))]);
    has(the(&found, "database", "client"), &[("error.type", json!("42P01"))]);
    let failed = console.get("/api/traces?status=error").await;
    assert!(failed["traces"].as_array().unwrap().iter().any(|trace| trace["trace_id"] == ill), "{failed}");
    assert!(spans(&console, &well).await.is_empty(), "what went well was not sampled");
}
