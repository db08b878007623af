//! The observer, as its page meets it: the picture, live, and what may be changed.

use crate::client::Client;
use crate::console::{Console, node};
use crate::load::Load;
use crate::start;
use chrono::Utc;
use onefold::testing::{Phase, TestSystem, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_picture_shows_every_node_and_a_killed_one_within_a_second() {
    let system = start().await;
    let console = Console::of(&system).await;
    let mut topology = console.get("/api/topology").await;
    assert_eq!(topology["system"], "links");
    let processes = system.nodes().len();
    eventually(Duration::from_secs(30), "all are ready", async || {
        topology = console.get("/api/topology").await;
        let nodes = topology["nodes"].as_array().unwrap();
        nodes.len() == processes && nodes.iter().all(|node| node["state"] == "ready")
    })
    .await;
    let balancer = node(&topology, "balancer");
    assert_eq!((&balancer["state"], &balancer["kind"]), (&json!("ready"), &json!("node")));
    let primary = node(&topology, "postgres-1");
    assert_eq!((&primary["role"], &primary["kind"]), (&json!("primary"), &json!("engine")));
    eventually(Duration::from_secs(10), "replicas show their lag, and a worker leads", async || {
        let topology = console.get("/api/topology").await;
        let leads =
            topology["nodes"].as_array().unwrap().iter().any(|node| node["leads"] == json!(["queue-leader"]));
        leads && node(&topology, "postgres-2")["database"]["lag_ms"].is_u64()
    })
    .await;

    let mut events = console.bare(Method::GET, "/api/events").send().await.unwrap();
    system.kill("app-a");
    eventually(Duration::from_secs(20), "the picture shows that it is gone", async || {
        let topology = console.get("/api/topology").await;
        node(&topology, "app-a")["restarts"] == 1
    })
    .await;
    let mut told = String::new();
    while !told.contains("app-a is back") {
        let chunk = tokio::time::timeout(Duration::from_secs(20), events.chunk()).await.expect("it is told");
        told.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("the stream goes on")));
    }
    assert!(told.starts_with("event: topology\n"), "the whole picture comes first");
    let died = told.find("app-a died").expect("its death is told");
    assert!(died < told.find("app-a is back").unwrap());
}

#[tokio::test]
async fn the_observer_s_death_costs_no_request_and_nothing_that_it_had_written() {
    let system = start().await;
    let console = Console::of(&system).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let now = Utc::now().timestamp_nanos_opt().unwrap().to_string();
    let record = json!({ "timeUnixNano": now, "severityNumber": 9, "body": { "stringValue": "kept" } });
    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
    let sent = reqwest::Client::new().post(system.otlp("/v1/logs")).json(&logs).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let kept = async || console.get("/api/logs?q=kept").await["logs"].as_array().unwrap().len();
    eventually(Duration::from_secs(10), "the line is found", async || kept().await == 1).await;

    let load = Load::start(&client, &code, 4);
    load.more(100).await;
    system.kill("observer-1");
    load.more(100).await;
    eventually(Duration::from_secs(20), "it is back", async || {
        let observer = system.node("observer-1");
        observer.restarts == 1 && observer.state == Phase::Ready
    })
    .await;
    load.more(100).await;
    load.stop().await;
    assert_eq!(kept().await, 1, "what was written is there");
}

#[tokio::test]
async fn changes_need_a_session_of_our_own_page_and_then_reach_every_node() {
    let system = start().await;
    let console = Console::of(&system).await;
    what_is_foreign_is_refused(&console).await;
    a_setting_is_edited_and_the_nodes_apply_it(&system, &console).await;
    a_flag_is_edited_and_rolled_back(&console).await;
    a_dead_job_is_replayed(&system, &console).await;
    an_alert_is_silenced(&system, &console).await;

    let audit = std::fs::read_to_string(system.state().join("observer/audit.jsonl")).unwrap();
    for change in ["/api/settings/page-links-max", "/api/flags/preview-page", "/replay"] {
        assert!(audit.lines().any(|line| line.contains(change) && line.contains("Ada")), "{change}: {audit}");
    }
}

async fn what_is_foreign_is_refused(console: &Console) {
    let path = "/api/settings/page-links-max";
    let body = json!({ "value": 5 });
    let put = || console.bare(Method::PUT, path).json(&body);
    let forged = || console.forged(Method::PUT, path).json(&body);
    let cases = [
        (put(), StatusCode::UNAUTHORIZED),
        (put().header("authorization", "Bearer wrong"), StatusCode::UNAUTHORIZED),
        (forged(), StatusCode::FORBIDDEN),
        (forged().header("onefold-csrf", "0".repeat(64)), StatusCode::FORBIDDEN),
        (forged().header("origin", "http://evil.example"), StatusCode::FORBIDDEN),
        (forged().header("host", "evil.example"), StatusCode::MISDIRECTED_REQUEST),
    ];
    for (i, (request, status)) in cases.into_iter().enumerate() {
        assert_eq!(request.send().await.unwrap().status(), status, "case {i}");
    }
    let settings = console.get("/api/settings").await;
    assert_eq!(settings["settings"][0]["value"], 100, "nothing was changed");
}

async fn a_setting_is_edited_and_the_nodes_apply_it(system: &TestSystem, console: &Console) {
    let path = "/api/settings/page-links-max";
    let (status, problem) = console.change(Method::PUT, path, json!({ "value": 0 })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["field"], "value");
    let body = json!({ "value": 5, "reason": "the list is slow" });
    let (status, done) = console.change(Method::PUT, path, body).await;
    assert_eq!((status, &done["done"]), (StatusCode::OK, &json!(true)));
    let client = Client::of(system);
    eventually(Duration::from_secs(20), "the nodes refuse a longer page", async || {
        let response = client.request(Method::GET, "/links?limit=6").send().await.unwrap();
        response.status() == StatusCode::UNPROCESSABLE_ENTITY
    })
    .await;
    eventually(Duration::from_secs(10), "every node says that it runs it", async || {
        let setting = console.get("/api/settings").await["settings"][0].clone();
        assert_eq!((&setting["updated_by"], &setting["reason"]), (&json!("Ada"), &json!("the list is slow")));
        let nodes = setting["nodes"].as_array().unwrap();
        nodes.len() == 7 && nodes.iter().all(|node| node["revision"].as_i64() >= setting["revision"].as_i64())
    })
    .await;
}

async fn a_flag_is_edited_and_rolled_back(console: &Console) {
    let flag = |variant: &str| {
        let definition = json!({ "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": variant });
        json!({ "definition": definition, "reason": "a trial" })
    };
    let path = "/api/flags/preview-page";
    let (status, first) = console.change(Method::PUT, path, flag("off")).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let (status, problem) = console.change(Method::PUT, path, flag("neither")).await;
    assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("definition")));
    let (status, _) = console.change(Method::PUT, path, flag("on")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(console.get("/api/flags").await["flags"][0]["default_variant"], "on");
    let back = json!({ "revision": first["revision"] });
    let (status, done) = console.change(Method::POST, &format!("{path}/rollback"), back).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    let flag = console.get("/api/flags").await["flags"][0].clone();
    assert_eq!((&flag["default_variant"], &flag["revision"]), (&json!("off"), &done["revision"]));
    let history = console.get(&format!("{path}/history")).await;
    assert_eq!(history["history"].as_array().unwrap().len(), 3);
}

async fn a_dead_job_is_replayed(system: &TestSystem, console: &Console) {
    let mut client = Client::of(system);
    let code = client.create("https://example.com/replayed").await;
    let primary = system.primary().await;
    let sql = "insert into onefold.job (run_at, attempts_max, kind_version, priority, queue, kind, args)
        values (statement_timestamp(), 1, 1, 1, 'default', 'click.v1', '{\"id\": 5}')";
    primary.execute(sql, &[]).await.unwrap();
    let mut dead = json!(null);
    eventually(Duration::from_secs(10), "arguments that do not parse make a dead letter", async || {
        dead = console.get("/api/jobs").await["dead"][0].clone();
        dead.is_object()
    })
    .await;
    assert_eq!(dead["kind"], "click.v1");
    assert!(dead["errors"][0]["error"].is_string(), "{dead}");

    let args =
        json!({ "id": "0191f3a0-0000-7000-8000-000000000001", "code": code, "at": "2026-01-01T00:00:00Z" });
    primary.execute("update onefold.job_dead set args = $1::text::json", &[&args.to_string()]).await.unwrap();
    let path = format!("/api/jobs/dead/{}/replay", dead["id"]);
    let (status, done) = console.change(Method::POST, &path, json!({})).await;
    assert_eq!((status, done), (StatusCode::OK, json!({ "done": true })));
    let (status, _) = console.change(Method::POST, &path, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it lives");
    eventually(Duration::from_secs(10), "its click is recorded", async || {
        let clicks =
            primary.query_one("select count(*) from clicks where code = $1", &[&code]).await.unwrap();
        clicks.get::<_, i64>(0) == 1
    })
    .await;
}

async fn an_alert_is_silenced(system: &TestSystem, console: &Console) {
    let listed = system.run(&["alerts", "list"]);
    assert!(listed.contains("STATE") && listed.contains("inactive"), "{listed}");
    let silence = json!({ "matchers": { "alertname": "Anything" }, "for_s": 60, "reason": "a trial" });
    let (status, silence) = console.change(Method::POST, "/api/alerts/silences", silence).await;
    assert_eq!(status, StatusCode::OK, "{silence}");
    assert_eq!(console.get("/api/alerts").await["silences"][0]["id"], silence["id"]);
    let path = format!("/api/alerts/silences/{}", silence["id"].as_str().unwrap());
    let (status, _) = console.change(Method::DELETE, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(console.get("/api/alerts").await["silences"].as_array().unwrap().is_empty());
    let untold = system.command(&["alerts", "test"]).output().unwrap();
    let said = String::from_utf8_lossy(&untold.stderr);
    assert!(!untold.status.success() && said.contains("webhook"), "{said}");

    let checked = system.command(&["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("the observer keeps spans"), "{said}");
}
