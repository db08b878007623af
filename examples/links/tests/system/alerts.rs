//! An alert of the running system, from the fault to the message and back, by the rules that the observer ships.

use crate::client::Client;
use crate::console::Console;
use crate::load::Load;
use crate::receiver::Receiver;
use crate::{BINARY, start};
use nix::sys::signal::Signal;
use onefold::testing::{TestSystem, eventually};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);

/// The shipped rules, impatient: half a minute's `for` and a look each five seconds would make a test of minutes. And
/// a dead node's own view of the members, which counts until its series has ended after ten seconds, is passed over.
fn impatient() -> String {
    let shipped = include_str!("../../../../crates/observability/src/collect/alerts/defaults.yaml");
    let rules = [
        ("interval: 5s", "interval: 1s"),
        ("for: 30s", "for: 2s"),
        ("[30m:15s]", "[1m:1s]"),
        ("max(onefold_coordination_members)", "min(onefold_coordination_members > 0)"),
    ];
    rules.iter().fold(shipped.to_owned(), |text, (patient, impatient)| {
        assert!(text.contains(patient), "the shipped rules say `{patient}`");
        text.replace(patient, impatient)
    })
}

/// A system whose alerts reach `receiver`, and that misses a member after two seconds.
async fn watched(receiver: &Receiver) -> (TestSystem, tempfile::NamedTempFile) {
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), impatient()).unwrap();
    let (rules_path, webhook) = (rules.path().display(), receiver.url());
    let observer = format!("[observer]\nrules = '{rules_path}'\nwebhook = '{webhook}'");
    let topology = format!("{observer}\n[coordination]\nmember_ttl = '2s'");
    (TestSystem::start_with(BINARY, &topology).await, rules)
}

/// Every alert that is not inactive, by name.
async fn risen(console: &Console) -> Vec<Value> {
    let alerts = console.get("/api/alerts").await["alerts"].take();
    let Value::Array(alerts) = alerts else { panic!("alerts: {alerts}") };
    alerts.into_iter().filter(|alert| alert["state"] != "inactive").collect()
}

/// What the page's stream of events tells of one alert, each of its states in turn.
struct Told {
    events: Response,
    unread: String,
    name: &'static str,
    states: Vec<String>,
}

impl Told {
    async fn of(console: &Console, name: &'static str) -> Self {
        // The stream stays open for as long as the test listens.
        let events = console.bare(Method::GET, "/api/events").timeout(SOON * 5).send().await.unwrap();
        Self { events, unread: String::new(), name, states: Vec::new() }
    }

    /// Reads on until the alert is in a state, and answers the alert as it is then.
    async fn until(&mut self, state: &str) -> Value {
        loop {
            let Some((event, rest)) = self.unread.split_once("\n\n") else {
                let chunk = tokio::time::timeout(SOON, self.events.chunk()).await;
                let chunk = chunk.unwrap_or_else(|_| panic!("{state} is told: {:?}", self.states)).unwrap();
                self.unread.push_str(&String::from_utf8_lossy(&chunk.expect("the stream goes on")));
                continue;
            };
            let all = event.strip_prefix("event: alerts\ndata: ").map(|data| {
                let overview: Value = serde_json::from_str(data).expect("JSON");
                overview["alerts"].as_array().expect("alerts").clone()
            });
            let rest = rest.to_owned();
            self.unread = rest;
            let Some(alert) = all.into_iter().flatten().find(|alert| alert["name"] == self.name) else {
                continue;
            };
            let now = alert["state"].as_str().unwrap_or_default();
            if self.states.last().is_none_or(|last| last != now) {
                self.states.push(now.to_owned());
            }
            if now == state {
                return alert;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_come_back_is_told_of_and_so_is_its_return() {
    let receiver = Receiver::start().await;
    let (system, _rules) = watched(&receiver).await;
    let console = Console::of(&system).await;
    system.run(&["alerts", "test"]);
    let test = receiver.next("TestNotification").await;
    assert_eq!((&test["version"], &test["status"]), (&json!("4"), &json!("firing")));
    // By every node: the rule compares what the last of them saw.
    eventually(SOON * 4, "all seven nodes are seen", async || {
        let query = "/api/metrics?query=min(onefold_coordination_members%20%3E%200)";
        console.get(query).await["result"][0]["value"][1] == "7"
    })
    .await;

    let mut told = Told::of(&console, "MembersLost").await;
    // Its successor is stopped before it can do anything: the node stays away, though its supervisor restarts it.
    let before = system.node("worker-2").pid;
    system.kill("worker-2");
    eventually(SOON, "it was started again", async || {
        system.node("worker-2").pid.is_some_and(|pid| Some(pid) != before)
    })
    .await;
    system.signal("worker-2", Signal::SIGSTOP);

    let firing = told.until("firing").await;
    assert_eq!((&firing["severity"], &firing["value"]), (&json!("warn"), &json!(1.0)));
    assert!(told.states.ends_with(&["pending", "firing"].map(str::to_owned)), "{:?}", told.states);
    let message = receiver.next("MembersLost").await;
    is_in_alertmanager_s_format(&message, &system);
    let listed = system.run(&["alerts", "list"]);
    let line = listed.lines().find(|line| line.starts_with("MembersLost")).expect("a line");
    assert!(line.contains("firing") && line.contains("1 nodes fewer"), "{line}");

    system.signal("worker-2", Signal::SIGCONT);
    told.until("resolved").await;
    let message = receiver.next("MembersLost").await;
    let alert = &message["alerts"][0];
    assert_eq!((&message["status"], &alert["status"]), (&json!("resolved"), &json!("resolved")));
    assert_ne!(alert["endsAt"], "0001-01-01T00:00:00Z");
}

fn is_in_alertmanager_s_format(message: &Value, system: &TestSystem) {
    assert_eq!((&message["version"], &message["status"]), (&json!("4"), &json!("firing")), "{message}");
    assert_eq!(message["groupLabels"], json!({ "alertname": "MembersLost" }));
    assert_eq!(message["commonLabels"], json!({ "alertname": "MembersLost", "severity": "warn" }));
    assert_eq!(message["externalURL"], system.console(""));
    let [alert] = message["alerts"].as_array().expect("alerts").as_slice() else { panic!("one: {message}") };
    assert_eq!((&alert["status"], &alert["labels"]), (&json!("firing"), &message["commonLabels"]));
    assert_eq!(alert["annotations"]["summary"], "1 nodes fewer than half an hour ago");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert!(alert["startsAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{alert}");
    assert!(alert["generatorURL"].as_str().is_some_and(|url| url.starts_with(&system.console("/"))));
    assert_eq!(alert["fingerprint"].as_str().map(str::len), Some(16), "{alert}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_alert_fires_unheard_until_its_silence_is_lifted() {
    let receiver = Receiver::start().await;
    let (system, _rules) = watched(&receiver).await;
    let console = Console::of(&system).await;
    let silence =
        json!({ "matchers": { "alertname": "DeadLetters" }, "for_s": 60, "reason": "we know of it" });
    let (status, silence) = console.change(Method::POST, "/api/alerts/silences", silence).await;
    assert_eq!(status, StatusCode::OK, "{silence}");
    let mut told = Told::of(&console, "DeadLetters").await;
    let dead = "insert into onefold.job (run_at, attempts_max, kind_version, priority, queue, kind, args)
        values (statement_timestamp(), 1, 1, 1, 'default', 'click.v1', '{}')";
    system.primary().await.execute(dead, &[]).await.unwrap();

    let alert = told.until("firing").await;
    assert_eq!((&alert["silence_id"], &alert["labels"]["queue"]), (&silence["id"], &json!("default")));
    // The receiver hears what is sent after it: it was passed over.
    system.run(&["alerts", "test"]);
    receiver.next("TestNotification").await;
    assert!(!receiver.has("DeadLetters"), "nobody is told of it");
    let path = format!("/api/alerts/silences/{}", silence["id"].as_str().unwrap());
    let (status, _) = console.change(Method::DELETE, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let message = receiver.next("DeadLetters").await;
    assert_eq!(message["commonAnnotations"]["summary"], "1 dead letters in default");
}

/// With the last worker goes who counted; the observer counts in its stead.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_are_told_of_where_no_worker_is() {
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), impatient()).unwrap();
    let topology = format!("[observer]\nrules = '{}'\n[worker]\nnodes = 0", rules.path().display());
    let system = TestSystem::start_with(BINARY, &topology).await;
    let console = Console::of(&system).await;
    let mut told = Told::of(&console, "JobsWait").await;
    let late = "insert into onefold.job (run_at, attempts_max, kind_version, priority, queue, kind, args)
        values (statement_timestamp() - interval '2 minutes', 1, 1, 1, 'default', 'click.v1', '{}') returning id";
    let id: i64 = system.primary().await.query_one(late, &[]).await.unwrap().get(0);
    let firing = told.until("firing").await;
    assert_eq!(firing["labels"]["queue"], "default");
    assert!(firing["value"].as_f64().is_some_and(|seconds| seconds > 120.0), "{firing}");
    system.run(&["jobs", "cancel", &id.to_string()]);
    told.until("resolved").await;
}

#[tokio::test]
async fn no_shipped_rule_finds_anything_in_a_healthy_system_under_load() {
    let system = start().await;
    let console = Console::of(&system).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let load = Load::start(&client, &code, 4);
    load.more(200).await;
    assert_eq!(risen(&console).await, Vec::<Value>::new(), "under load");
    load.stop().await;
    for node in ["balancer", "app-a", "app-b", "app-c", "worker-1", "worker-2", "observer-1"] {
        let dropped = system.metric(node, "onefold_telemetry_dropped_total").await;
        assert!(dropped.abs() < 0.5, "{node} dropped {dropped}");
    }
}
