//! The example with its queue on NATS JetStream, and what the death of its servers costs.

use crate::client::Client;
use onefold::testing::{TestSystem, eventually};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const SERVERS: [&str; 3] = ["nats-1", "nats-2", "nats-3"];

async fn clicked(client: &mut Client, code: &str, times: usize) {
    for _ in 0..times {
        // It panics where a request fails.
        client.follow(code).await;
    }
}

async fn counted(system: &TestSystem, expected: i64) {
    let admin = system.primary().await;
    let count =
        async || -> i64 { admin.query_one("select count(*) from clicks", &[]).await.expect("count").get(0) };
    eventually(Duration::from_secs(90), "every click is counted", async || count().await >= expected).await;
    assert_eq!(count().await, expected, "each is counted once");
}

/// Passwords stand in a file that nobody else reads, and not on the command line.
fn settings_are_private(system: &TestSystem) {
    let pid = system.node("nats-1").pid.expect("it runs");
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("its command line");
    let password = std::fs::read_to_string(system.state().join("secrets/nats-application.password"));
    assert!(!line.contains(password.expect("its password").trim()), "{line}");
    let settings = line.split('\0').find(|word| word.ends_with("nats.conf")).expect("its settings");
    assert_eq!(std::fs::metadata(settings).expect("its settings").permissions().mode() & 0o777, 0o600);
}

/// A server dies under load, then all of them: no request fails and no click is lost or counted twice. A second `up`
/// resumes what they had.
#[tokio::test]
async fn clicks_on_nats_are_counted_once_though_its_servers_die() {
    let mut system = TestSystem::start_with(crate::BINARY, "[queue]\nengine = \"nats\"\n").await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    clicked(&mut client, &code, 100).await;
    counted(&system, 100).await;
    eventually(Duration::from_secs(10), "one of them leads", async || {
        system
            .nodes()
            .iter()
            .filter(|node| SERVERS.contains(&node.name.as_str()) && node.role == "leader")
            .count()
            == 1
    })
    .await;
    settings_are_private(&system);
    let said = system.run(&["doctor"]);
    assert!(said.contains("queue: nats at 127.0.0.1:") && said.contains("3 servers"), "{said}");

    let leader = system.nodes().into_iter().find(|node| node.role == "leader").expect("a leader").name;
    clicked(&mut client, &code, 50).await;
    system.kill(leader.as_str());
    clicked(&mut client, &code, 150).await;
    counted(&system, 300).await;

    for name in SERVERS {
        system.kill(name);
    }
    clicked(&mut client, &code, 100).await;
    counted(&system, 400).await;

    system.stop().await;
    system.start_again().await;
    clicked(&mut client, &code, 50).await;
    counted(&system, 450).await;
}
