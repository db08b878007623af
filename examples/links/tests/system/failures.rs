//! What clients notice when a node dies: nothing.

use crate::client::Client;
use crate::load::Load;
use crate::{start, start_quiet};
use onefold::testing::{Phase, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn an_app_node_killed_under_load_costs_no_failed_get() {
    let system = start_quiet().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let load = Load::start(&client, &code, 8);
    load.more(500).await;
    for node in ["app-a", "app-b", "app-c"] {
        let restarts = system.node(node).restarts;
        system.kill(node);
        load.more(500).await;
        eventually(Duration::from_secs(20), "the node is back", async || {
            let node = system.node(node);
            node.restarts > restarts && node.state == Phase::Ready
        })
        .await;
        load.more(500).await;
    }
    load.stop().await;
}

#[tokio::test]
async fn the_same_idempotency_key_sent_twice_at_once_creates_one_link() {
    let system = start().await;
    let client = Client::of(&system);
    for round in 0..10 {
        let key = format!("round-{round}");
        let post = |url: &'static str| {
            let request = client.request(Method::POST, "/links").header("idempotency-key", &key);
            request.json(&json!({ "url": url })).send()
        };
        let (first, second) = tokio::join!(post("https://example.com"), post("https://example.com"));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.status(), second.status()), (StatusCode::CREATED, StatusCode::CREATED));
        let (first, second): (Value, Value) = (first.json().await.unwrap(), second.json().await.unwrap());
        assert_eq!(first, second);
        let other = post("https://example.com/other").await.unwrap();
        assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY, "the key belongs to another body");
    }
    let page: Value =
        client.request(Method::GET, "/links?limit=100").send().await.unwrap().json().await.unwrap();
    assert_eq!(page["links"].as_array().unwrap().len(), 10);
}
