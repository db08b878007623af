//! What each route answers.

use crate::client::{Client, header};
use crate::start;
use onefold::testing::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn a_link_lives_from_its_creation_to_its_end() {
    let system = start().await;
    let mut client = Client::of(&system);

    let request = client
        .request(Method::POST, "/links")
        .json(&json!({ "url": "https://example.com/a", "code": "My-Code_1" }));
    let response = client.send(request).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let link: Value = response.json().await.unwrap();
    assert_eq!(link["code"], "My-Code_1");
    assert_eq!(link["short_url"], system.url("/My-Code_1"));
    assert_eq!(link["expires_at"], Value::Null);

    assert_eq!(client.follow("My-Code_1").await, "https://example.com/a");
    assert_eq!(client.get("/my-code_1").await.status(), StatusCode::NOT_FOUND, "codes are case-sensitive");
    client.retarget("My-Code_1", "https://example.com/b").await;
    assert_eq!(client.follow("My-Code_1").await, "https://example.com/b");
    let shown: Value = client.get("/links/My-Code_1").await.json().await.unwrap();
    assert_eq!(shown["url"], "https://example.com/b");

    eventually(Duration::from_secs(20), "both clicks are counted", async || {
        let stats: Value = client.clone().get("/links/My-Code_1/stats?days=7").await.json().await.unwrap();
        stats["total"] == 2 && stats["host_links"] == 1
    })
    .await;

    let request = client.request(Method::DELETE, "/links/My-Code_1");
    assert_eq!(client.send(request).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(client.get("/My-Code_1").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(client.get("/links/My-Code_1").await.status(), StatusCode::NOT_FOUND);

    // Who read that a code is free must see it taken.
    let request = client
        .request(Method::POST, "/links")
        .json(&json!({ "url": "https://example.com/c", "code": "My-Code_1" }));
    assert_eq!(client.send(request).await.status(), StatusCode::CREATED);
    assert_eq!(client.follow("My-Code_1").await, "https://example.com/c");

    bad_input_is_answered_with_the_field(&mut client).await;
    pages_are_newest_first(&mut client).await;
    an_expired_link_is_gone(&mut client).await;
    every_zone_serves_and_a_second_read_is_a_hit(&system, &mut client).await;
}

async fn bad_input_is_answered_with_the_field(client: &mut Client) {
    let taken = json!({ "url": "https://example.com", "code": "My-Code_1" });
    let cases = [
        (taken, StatusCode::CONFLICT, None),
        (
            json!({ "url": "https://example.com", "code": "links" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("code"),
        ),
        (
            json!({ "url": "https://example.com", "code": "a b" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("code"),
        ),
        (json!({ "url": "ftp://example.com" }), StatusCode::UNPROCESSABLE_ENTITY, Some("url")),
        (json!({ "url": "https://u:p@example.com" }), StatusCode::UNPROCESSABLE_ENTITY, Some("url")),
        (
            json!({ "url": "https://example.com", "expires_in": 0 }),
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("expires_in"),
        ),
        (json!({ "code": "abcd" }), StatusCode::UNPROCESSABLE_ENTITY, Some("url")),
        (json!({ "url": 5 }), StatusCode::UNPROCESSABLE_ENTITY, Some("url")),
        (
            json!({ "url": "https://example.com", "expires_in": "soon" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("expires_in"),
        ),
    ];
    for (body, status, field) in cases {
        let request = client.request(Method::POST, "/links").json(&body);
        let response = client.send(request).await;
        assert_eq!(response.status(), status, "{body}");
        assert_eq!(header(&response, "content-type"), "application/problem+json", "{body}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status.as_u16(), "{problem}");
        assert_eq!(problem["trace_id"].as_str().map(str::len), Some(32), "{problem}");
        assert_eq!(problem["field"].as_str(), field, "{problem}");
    }
    let request = client.request(Method::POST, "/links").header("content-type", "application/json").body("{");
    let response = client.send(request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let response = client.get("/links/nothing-here/at/all").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
}

async fn pages_are_newest_first(client: &mut Client) {
    let mut codes = Vec::new();
    for i in 0..5 {
        codes.push(client.create(&format!("https://example.com/{i}")).await);
    }
    codes.reverse();
    let mut seen = Vec::new();
    let mut after = String::new();
    while seen.len() < 5 {
        let page: Value = client.get(&format!("/links?limit=2{after}")).await.json().await.unwrap();
        let links = page["links"].as_array().unwrap();
        seen.extend(links.iter().map(|link| link["code"].as_str().unwrap().to_owned()));
        after = format!("&after={}", page["next"].as_str().expect("another page"));
    }
    assert_eq!(seen[..5], codes);
}

async fn an_expired_link_is_gone(client: &mut Client) {
    let request = client
        .request(Method::POST, "/links")
        .json(&json!({ "url": "https://example.com", "code": "brief", "expires_in": 1 }));
    assert_eq!(client.send(request).await.status(), StatusCode::CREATED);
    eventually(Duration::from_secs(10), "the link has expired", async || {
        client.get("/brief").await.status() == StatusCode::GONE
    })
    .await;
}

async fn every_zone_serves_and_a_second_read_is_a_hit(
    system: &onefold::testing::TestSystem,
    client: &mut Client,
) {
    let code = client.create("https://example.com/zones").await;
    let mut zones = BTreeSet::new();
    eventually(Duration::from_secs(20), "all three zones have served", async || {
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let mut client = client.clone();
            let path = format!("/{code}");
            requests.spawn(async move { header(&client.get(&path).await, "onefold-served-by") });
        }
        zones.extend(requests.join_all().await);
        zones.len() == 3
    })
    .await;
    let expected = ["app-a;zone=a", "app-b;zone=b", "app-c;zone=c"];
    assert_eq!(zones, expected.map(str::to_owned).into());

    let hits_before = hits(system).await;
    for _ in 0..6 {
        client.get(&format!("/{code}")).await;
    }
    assert!(hits(system).await >= hits_before + 5.0, "reads of a known link are hits");
}

/// Cache hits of all app nodes together.
async fn hits(system: &onefold::testing::TestSystem) -> f64 {
    let mut hits = 0.0;
    for node in ["app-a", "app-b", "app-c"] {
        hits += system.metric(node, "onefold_cache_hits_total").await;
    }
    hits
}
