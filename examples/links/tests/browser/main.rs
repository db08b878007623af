//! The console over the real system, in Chromium: under load, with a death, a failure and hostile telemetry. What is
//! looked for stands in `system.mjs`; this starts the system and prepares a dead job.
#![expect(clippy::unwrap_used, reason = "a test may")]

use onefold::testing::{TestSystem, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

#[tokio::test]
async fn the_console_shows_the_real_system_and_changes_it() {
    let system = TestSystem::start(env!("CARGO_BIN_EXE_links")).await;
    let job = dead_job(&system).await;
    let told = browse(&system, &job).await;
    assert!(told.contains("all hold"), "{told}");
}

async fn browse(system: &TestSystem, job: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let port: u16 = system.console("").rsplit(':').next().unwrap().parse().unwrap();
    let output = Command::new(here.join("../../scripts/browser"))
        .arg(here.join("tests/browser/system.mjs"))
        .env("LINKS_APP", system.url(""))
        .env("LINKS_CONSOLE", system.console(""))
        .env("LINKS_LOGIN", system.run(&["console"]).trim())
        .env("LINKS_OTLP", format!("http://127.0.0.1:{}", port + 2))
        .env("LINKS_DEAD_JOB", job)
        .env("LINKS_SCREENSHOTS", here.join("../../target/screenshots"))
        .output()
        .await
        .expect("run scripts/browser");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// A job that died of arguments that do not parse, and would run with those that it has now.
async fn dead_job(system: &TestSystem) -> String {
    let created: Value = reqwest::Client::new()
        .post(system.url("/links"))
        .json(&json!({ "url": "https://example.com/replayed" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let primary = system.primary().await;
    let sql = "insert into onefold.job (run_at, attempts_max, kind_version, priority, queue, kind, args)
        values (statement_timestamp(), 1, 1, 1, 'default', 'click.v1', '{\"id\": 5}')";
    primary.execute(sql, &[]).await.unwrap();
    let mut id = None;
    eventually(Duration::from_secs(20), "the job is dead", async || {
        let row = primary.query_opt("select id::text from onefold.job_dead", &[]).await.unwrap();
        id = row.map(|row| row.get::<_, String>(0));
        id.is_some()
    })
    .await;
    let args = json!({ "id": "0191f3a0-0000-7000-8000-000000000001", "code": created["code"], "at": "2026-01-01T00:00:00Z" });
    primary.execute("update onefold.job_dead set args = $1::text::json", &[&args.to_string()]).await.unwrap();
    id.unwrap()
}
