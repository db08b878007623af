//! What is broken on purpose is broken, is shown, and heals; and clients notice what they must.

use crate::BINARY;
use crate::client::{Client, header};
use crate::console::Console;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold::testing::{Phase, TestSystem, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_mins(1);
const DELAY_MS: u128 = 300;

#[tokio::test]
async fn faults_are_felt_shown_and_healed_and_nothing_outlives_them() {
    let mut system = TestSystem::start_breakable(BINARY, "").await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    mistakes_are_answered_with_what_there_is(&system);
    a_latency_is_felt_and_shown(&system, &client, &code).await;
    a_one_way_partition_has_reads_go_elsewhere(&system, &mut client, &code).await;
    a_node_behind_a_black_hole_is_left_out_until_it_heals(&system, &client, &code).await;
    what_is_paused_stands_still_for_its_time(&system).await;
    nothing_that_stands_still_outlives_the_supervisor(&mut system).await;
}

/// A command of `chaos` that is refused as wrong usage, and why.
fn refused(system: &TestSystem, arguments: &[&str]) -> String {
    let output = system.command(&[&["chaos"], arguments].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    said
}

fn list(system: &TestSystem) -> Value {
    serde_json::from_str(&system.run(&["chaos", "list", "--json"])).unwrap()
}

fn mistakes_are_answered_with_what_there_is(system: &TestSystem) {
    for (arguments, words) in [
        (&["pause", "app-x"][..], &["`app-x`", "app-a", "primary", "zone=a"][..]),
        (&["latency", "app-a:app-b", "5ms"], &["app-a:postgres-1", "app-a:observer-1"]),
        (&["latency", "app-a:primary", "0ms"], &["delay_ms"]),
        (&["latency", "app-a:primary", "5"], &["unit"]),
        (&["bandwidth", "app-a:primary", "0"], &["bytes_per_second"]),
        (&["disk-full", "app-a"], &["no engine", "postgres-1"]),
        (&["heal", "99"], &["99", "none is"]),
        (&["resume", "app-a"], &["not paused"]),
    ] {
        let said = refused(system, arguments);
        for word in words {
            assert!(said.contains(word), "{arguments:?}: no `{word}` in: {said}");
        }
    }
    let listed = list(system);
    assert_eq!(listed["faults"].as_array().unwrap().len(), 0, "{listed}");
    assert!(listed["edges"].as_array().unwrap().len() > 20, "{listed}");
}

#[expect(clippy::disallowed_methods, reason = "a delay that was asked for must be felt")]
async fn a_latency_is_felt_and_shown(system: &TestSystem, client: &Client, code: &str) {
    let said = system.run(&["chaos", "latency", "app -> primary", "300ms", "--for", "10m"]);
    assert!(said.contains("primary is postgres-1") && said.contains("3 edges"), "{said}");
    assert!(system.run(&["status"]).contains("latency of app -> primary, 300 ms"));
    let begun = Instant::now();
    let request = client.request(Method::GET, &format!("/links/{code}"));
    let response = request.header("onefold-consistency", "strong").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let took = begun.elapsed().as_millis();
    assert!(took >= DELAY_MS, "a read of the primary took {took} ms");
    let listed = list(system);
    let id = listed["faults"][0]["id"].to_string();
    assert_eq!(listed["faults"][0]["edges"][0]["to"], "postgres-1", "{listed}");
    assert!(system.run(&["chaos", "heal", &id]).starts_with("healed: latency"));
    assert_eq!(list(system)["faults"].as_array().unwrap().len(), 0);
    assert!(list(system)["past"][0]["ended_ms"].is_u64());
}

/// By the console, whose session alone may do it.
async fn a_one_way_partition_has_reads_go_elsewhere(system: &TestSystem, client: &mut Client, code: &str) {
    let console = Console::of(system).await;
    let wish = json!({ "kind": "partition", "of": "app:replica", "way": "there" });
    for refused in [console.bare(Method::POST, "/api/faults"), console.forged(Method::POST, "/api/faults")] {
        let status = refused.json(&wish).send().await.unwrap().status();
        assert!([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status), "{status}");
    }
    let (status, said) =
        console.change(Method::POST, "/api/faults", json!({ "kind": "pause", "of": "x" })).await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && said["detail"].as_str().unwrap().contains("app-a"),
        "{said}"
    );
    let (status, begun) = console.change(Method::POST, "/api/faults", wish).await;
    assert_eq!((status, &begun["faults"][0]["by"]), (StatusCode::OK, &json!("Ada")), "{begun}");
    let id = &begun["faults"][0]["id"];
    for _ in 0..20 {
        let response = client.get(&format!("/links/{code}")).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
    // The servers' own ways are free, and so are writes that wait for a replica.
    client.create("https://example.com/meanwhile").await;
    eventually(WAIT, "the picture shows it", async || {
        let topology = console.get("/api/topology").await;
        let edges = topology["edges"].as_array().unwrap().iter();
        let cut = edges.filter(|edge| edge["faults"] == json!([id]) && edge["kind"] == "sql").count();
        topology["faults"][0]["id"] == *id && cut == 6
    })
    .await;
    let (status, healed) = console.change(Method::DELETE, &format!("/api/faults/{id}"), json!({})).await;
    assert_eq!(
        (status, healed["faults"][0]["edges"].as_array().unwrap().len()),
        (StatusCode::OK, 6),
        "{healed}"
    );
    let listed = console.get("/api/faults").await;
    assert_eq!((&listed["faults"], &listed["past"][1]["id"]), (&json!([]), id), "{listed}");
}

async fn a_node_behind_a_black_hole_is_left_out_until_it_heals(
    system: &TestSystem,
    client: &Client,
    code: &str,
) {
    system.run(&["chaos", "blackhole", "balancer:app-a"]);
    let is_served_by = async |node: &str| {
        let mut client = client.clone();
        header(&client.get(&format!("/{code}")).await, "onefold-served-by").starts_with(node)
    };
    let is_out = || {
        let endpoints = system.run(&["balancer", "endpoints", "--json"]);
        let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
        let app_a = endpoints.as_array().unwrap().iter().find(|one| one["name"] == "app-a");
        app_a.is_some_and(|app_a| ["unready", "ejected"].contains(&app_a["health"].as_str().unwrap()))
    };
    eventually(WAIT, "the balancer leaves app-a out", async || is_out()).await;
    for _ in 0..10 {
        assert!(!is_served_by("app-a").await, "nothing goes there");
    }
    assert_eq!(system.node("app-a").state, Phase::Ready, "it is well, and nobody restarts it");
    system.run(&["chaos", "heal", "all"]);
    eventually(WAIT, "app-a serves again", async || is_served_by("app-a").await).await;
}

async fn what_is_paused_stands_still_for_its_time(system: &TestSystem) {
    let pid = system.node("worker-1").pid.unwrap();
    system.run(&["chaos", "pause", "worker-1", "--for", "500ms"]);
    eventually(WAIT, "its time is over", async || list(system)["faults"].as_array().unwrap().is_empty())
        .await;
    assert_ne!(state_of(pid), Some('T'));
    system.run(&["chaos", "pause", "worker"]);
    assert_eq!(state_of(pid), Some('T'));
    assert!(system.run(&["chaos", "resume", "worker-1"]).starts_with("healed: pause"));
    assert_ne!(state_of(pid), Some('T'));
    system.run(&["chaos", "kill", "worker-1"]);
    eventually(WAIT, "it is started again", async || {
        let node = system.node("worker-1");
        node.pid != Some(pid) && node.state == Phase::Ready
    })
    .await;
}

/// A whole tree of processes stands still, and none of them can notice that the supervisor has gone.
async fn nothing_that_stands_still_outlives_the_supervisor(system: &mut TestSystem) {
    let replica = system.node("postgres-3").pid.unwrap();
    let mut pids: Vec<u32> = system.nodes().iter().filter_map(|node| node.pid).collect();
    pids.extend(children_of(replica));
    assert!(pids.len() > system.nodes().len(), "Postgres has processes of its own");
    system.run(&["chaos", "pause", "postgres-3"]);
    system.run(&["chaos", "pause", "app-a"]);
    system.signal_supervisor(Signal::SIGKILL);
    system.wait_until_gone().await;
    eventually(WAIT, "no process is left", async || {
        pids.iter().all(|pid| kill(Pid::from_raw(i32::try_from(*pid).unwrap()), None).is_err())
    })
    .await;
}

/// On a system without the proxy.
pub(crate) fn processes_can_be_disturbed_and_edges_say_how_to(system: &TestSystem) {
    let said = refused(system, &["partition", "app-a:primary"]);
    assert!(said.contains("up --chaos"), "{said}");
    let pid = system.node("app-b").pid.unwrap();
    system.run(&["chaos", "pause", "app-b"]);
    assert_eq!(state_of(pid), Some('T'));
    system.run(&["chaos", "heal"]);
    assert_ne!(state_of(pid), Some('T'));
}

/// The letter of a process' state, as in proc(5): T stands still.
fn state_of(pid: u32) -> Option<char> {
    stat(pid)?.0
}

fn children_of(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

fn stat(pid: u32) -> Option<(Option<char>, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next(), fields.next()?.parse().ok()?))
}
