//! One request can be found again on every node that it crossed.

use crate::client::{Client, header};
use crate::start;
use onefold::testing::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_log_lines_of_one_request_carry_one_trace_id_on_every_node() {
    let system = start().await;
    let client = Client::of(&system);
    let request = client.request(Method::POST, "/links").json(&json!({ "url": "https://example.com" }));
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let response =
        request.header("traceparent", format!("00-{trace_id}-b7ad6b7169203331-01")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(header(&response, "traceparent").contains(trace_id));

    let logged = |nodes: &[&str]| {
        nodes.iter().any(|node| {
            let log = system.log(node);
            log.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .any(|line| line["trace_id"] == trace_id)
        })
    };
    for nodes in [&["balancer"][..], &["app-a", "app-b", "app-c"], &["worker-1", "worker-2"]] {
        eventually(Duration::from_secs(10), &format!("a line of {nodes:?}"), async || logged(nodes)).await;
    }
}
