//! Clicks are counted exactly, though a worker dies.

use crate::client::Client;
use crate::start_quiet;
use onefold::testing::eventually;
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinSet;

const CLICKS: usize = 10_000;
const CLIENTS: usize = 16;

#[tokio::test]
async fn ten_thousand_clicks_are_counted_once_though_a_worker_is_killed() {
    let system = start_quiet().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;

    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, code) = (client.clone(), code.clone());
        clients.spawn(async move {
            for _ in 0..CLICKS / CLIENTS {
                client.follow(&code).await;
            }
        });
    }
    let admin = system.primary().await;
    let counted =
        async || -> i64 { admin.query_one("select count(*) from clicks", &[]).await.expect("count").get(0) };
    eventually(Duration::from_mins(1), "the workers are at work", async || counted().await > 1000).await;
    system.kill("worker-1");
    clients.join_all().await;

    let expected = i64::try_from(CLICKS).unwrap();
    eventually(Duration::from_secs(90), "every click is counted", async || counted().await >= expected).await;
    eventually(Duration::from_mins(1), "no job is left", async || {
        let left = admin.query_one("select count(*) from onefold.job where kind = 'click.v1'", &[]).await;
        left.expect("count").get::<_, i64>(0) == 0
    })
    .await;
    assert_eq!(counted().await, expected);
    eventually(Duration::from_secs(20), "the statistics say so too", async || {
        let stats: Value = client.get(&format!("/links/{code}/stats")).await.json().await.unwrap();
        stats["total"] == expected
    })
    .await;
}
