//! Flags, leadership and the absence of the configuration service.

use crate::client::Client;
use crate::start;
use onefold::testing::eventually;
use reqwest::StatusCode;
use std::time::Duration;

#[tokio::test]
async fn a_flag_flips_live() {
    let system = start().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com/flag").await;
    assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::FOUND);
    system.run(&["flags", "set", "preview-page", "on"]);
    eventually(Duration::from_secs(2), "every node shows the page", async || {
        let mut shown = true;
        for _ in 0..9 {
            shown &= client.get(&format!("/{code}")).await.status() == StatusCode::OK;
        }
        shown
    })
    .await;
    system.run(&["flags", "set", "preview-page", "off"]);
    eventually(Duration::from_secs(2), "nodes redirect again", async || {
        client.get(&format!("/{code}")).await.status() == StatusCode::FOUND
    })
    .await;
}
