//! The system as a set of processes: it resumes, it is alone on its state, and it leaves nothing behind.

use crate::client::Client;
use crate::{BINARY, start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold::testing::{Phase, TestPostgres, TestSystem, eventually};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const GONE: Duration = Duration::from_secs(15);

fn pids(system: &TestSystem) -> Vec<u32> {
    let processes = system.nodes();
    let is_ours = |name: &str| name.starts_with("postgres-");
    let ours = processes.iter().filter(|process| process.admin.is_some() || is_ours(process.name.as_str()));
    assert_eq!(ours.count(), 10, "an observer, a balancer, three app nodes, two workers, three Postgres");
    let pids: Vec<u32> = processes.iter().filter_map(|process| process.pid).collect();
    assert_eq!(pids.len(), processes.len(), "each runs");
    pids
}

async fn all_gone(pids: &[u32]) {
    eventually(GONE, "no process is left", async || {
        pids.iter().all(|pid| kill(Pid::from_raw(i32::try_from(*pid).unwrap()), None).is_err())
    })
    .await;
}

#[tokio::test]
async fn a_second_up_resumes_the_data_and_a_stop_leaves_no_process() {
    let mut system = start().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com/kept").await;

    let refused = system.command(&["up"]).output().expect("run");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains(&system.supervisor().to_string()), "the pid is named: {said}");

    let before = pids(&system);
    system.stop().await;
    all_gone(&before).await;

    system.start_again().await;
    assert_eq!(Client::of(&system).follow(&code).await, "https://example.com/kept");

    let before = pids(&system);
    system.signal_supervisor(Signal::SIGKILL);
    system.wait_until_gone().await;
    all_gone(&before).await;

    system.start_again().await;
    assert_eq!(Client::of(&system).follow(&code).await, "https://example.com/kept");
}

#[tokio::test]
async fn every_process_that_dies_comes_back() {
    let system = start().await;
    crate::chaos::processes_can_be_disturbed_and_edges_say_how_to(&system);
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    for node in ["worker-1", "balancer", "postgres-3"] {
        system.kill(node);
        eventually(Duration::from_secs(30), &format!("{node} is back"), async || {
            let node = system.node(node);
            node.restarts == 1 && node.state == Phase::Ready
        })
        .await;
        assert!(system.output().contains(&format!("{node} died")), "one line tells of it");
    }
    assert_eq!(client.follow(&code).await, "https://example.com");
}

#[tokio::test]
async fn a_node_that_hangs_is_killed_and_started_again() {
    let system = start().await;
    for name in ["app-b", "worker-1", "balancer"] {
        let before = system.node(name);
        system.signal(name, Signal::SIGSTOP);
        eventually(Duration::from_mins(1), "it is another process, and ready", async || {
            let node = system.node(name);
            node.restarts > before.restarts && node.state == Phase::Ready
        })
        .await;
        assert!(system.output().contains(&format!("{name} gave no answer")), "{}", system.output());
    }
    Client::of(&system).create("https://example.com/served").await;
}

#[tokio::test]
async fn two_systems_run_side_by_side() {
    let (one, other) = tokio::join!(start(), start());
    let code = Client::of(&one).create("https://example.com").await;
    assert_eq!(Client::of(&one).follow(&code).await, "https://example.com");
    let absent = Client::of(&other).get(&format!("/{code}")).await;
    assert_eq!(absent.status(), reqwest::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn up_serves_on_a_database_of_ones_own() {
    let postgres = TestPostgres::start().await;
    let topology = format!("[database]\nurl = 'cmd:echo {}'", postgres.url());
    let system = TestSystem::start_with(BINARY, &topology).await;
    assert!(
        !system.nodes().iter().any(|node| node.name.as_str().starts_with("postgres")),
        "it runs no engine"
    );
    let mut client = Client::of(&system);
    let code = client.create("https://example.com/elsewhere").await;
    assert_eq!(client.follow(&code).await, "https://example.com/elsewhere");
    eventually(Duration::from_secs(20), "the worker counts the click", async || {
        let stats: Value =
            client.clone().get(&format!("/links/{code}/stats?days=7")).await.json().await.unwrap();
        stats["total"] == 1
    })
    .await;

    let refused = TestPostgres::start().await;
    let url = refused.url().replace("/postgres", "/absent");
    let topology = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(topology.path(), format!("[database]\nurl = 'cmd:echo {url}'")).unwrap();
    let mut migrate = Command::new(BINARY);
    let output = migrate.args(["migrate", "--topology"]).arg(topology.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("absent"), "{said}");
}
