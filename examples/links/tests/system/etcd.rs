//! The configuration service on etcd: its members die by real signals, and what depends on it goes on.

use crate::BINARY;
use crate::client::Client;
use onefold::testing::{Phase, TestSystem, eventually};
use reqwest::StatusCode;
use std::time::Duration;

const MEMBERS: [&str; 3] = ["etcd-1", "etcd-2", "etcd-3"];
const TOPOLOGY: &str = "[coordination]\nengine = \"etcd\"\n";

/// Sets the flag in the end, and waits until every node shows it.
async fn flips(system: &TestSystem, client: &mut Client, code: &str, to: &str, status: StatusCode) {
    eventually(Duration::from_secs(30), "a change is taken", async || {
        system.command(&["flags", "set", "preview-page", to]).output().expect("run").status.success()
    })
    .await;
    eventually(Duration::from_secs(10), "every node shows it", async || {
        let mut shown = true;
        for _ in 0..9 {
            shown &= client.get(&format!("/{code}")).await.status() == status;
        }
        shown
    })
    .await;
}

async fn all_are_ready(system: &TestSystem) {
    eventually(Duration::from_secs(30), "all members run again", async || {
        MEMBERS.iter().all(|member| system.node(member).state == Phase::Ready)
    })
    .await;
}

#[tokio::test]
async fn members_of_etcd_die_and_only_changes_wait() {
    let mut system = TestSystem::start_with(BINARY, TOPOLOGY).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com/etcd").await;
    flips(&system, &mut client, &code, "on", StatusCode::OK).await;
    let leader = MEMBERS.into_iter().find(|member| system.node(member).role == "leader").expect("one leads");

    system.kill(leader);
    for _ in 0..30 {
        assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::OK);
    }
    flips(&system, &mut client, &code, "off", StatusCode::FOUND).await;
    all_are_ready(&system).await;

    for member in MEMBERS {
        system.kill(member);
    }
    for _ in 0..30 {
        assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::FOUND);
    }
    all_are_ready(&system).await;
    flips(&system, &mut client, &code, "on", StatusCode::OK).await;
    let said = system.run(&["doctor"]);
    assert!(said.contains("etcd has 3 members, of which 1 may be lost"), "{said}");
    assert!(said.contains("etcd asks everybody who they are"), "{said}");

    // Nothing of it is lost over a restart of the whole.
    system.stop().await;
    system.start_again().await;
    eventually(Duration::from_secs(20), "the flag is as it was", async || {
        client.get(&format!("/{code}")).await.status() == StatusCode::OK
    })
    .await;
}
