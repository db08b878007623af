//! A Postgres that Patroni runs: it switches over on request and fails over by itself, and the system finds the leader.

use crate::Tokens;
use crate::client::Client;
use crate::load::Load;
use onefold::testing::{TestPatroni, TestSystem, eventually};
use onefold_core::Clock;
use onefold_lab::{Action, Operation, Outcome, Recorder, Verdict};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);
const SERVERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_kept_though_patroni_changes_the_leader() {
    let mut patroni = TestPatroni::start(SERVERS).await;
    let topology = format!("[database]\nurl = 'cmd:echo {}'", patroni.url());
    let system = TestSystem::start_with(env!("CARGO_BIN_EXE_links"), &topology).await;
    let load = Load::start(&system, 7, Tokens::Sent);
    writes_again(&system, 101, "first").await;

    let before = now(&load);
    let old = settled(&patroni).await;
    switch_over(&patroni, old).await;
    another_leads(&patroni, old).await;
    writes_again(&system, 102, "after-the-switchover").await;
    tell("switchover", &load, before);

    let old = settled(&patroni).await;
    let before = now(&load);
    patroni.kill(old);
    another_leads(&patroni, old).await;
    writes_again(&system, 103, "after-the-failover").await;
    tell("failover", &load, before);

    patroni.start_again(old);
    assert_ne!(settled(&patroni).await, old, "the killed leader comes back as a replica");
    writes_again(&system, 104, "with-the-third-one-back").await;
    let found = load.stop(&system).await;
    eprintln!("{}", found.summary());
    for (name, verdict) in found.verdicts() {
        eprintln!("{name}: {verdict}");
        assert!(matches!(verdict, Verdict::Held { checked } if checked > 0), "{name}: {verdict}");
    }
}

/// Patroni promotes nobody but the synchronous standby that it has noted, which is after Postgres has one. Answers the leader.
async fn settled(patroni: &TestPatroni) -> usize {
    let leader = patroni.settled(SERVERS).await;
    eventually(SOON, "Patroni notes a synchronous standby", async || {
        let Ok(answer) = reqwest::get(patroni.rest(leader, "/cluster")).await else { return false };
        let cluster: Value = answer.json().await.unwrap_or_default();
        let members = cluster["members"].as_array();
        members.is_some_and(|members| members.iter().any(|member| member["role"] == "sync_standby"))
    })
    .await;
    leader
}

async fn switch_over(patroni: &TestPatroni, leader: usize) {
    let asked = json!({ "leader": patroni.name(leader) });
    let request = reqwest::Client::new().post(patroni.rest(leader, "/switchover")).json(&asked);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{} {:?}", answer.status(), answer.text().await);
}

async fn another_leads(patroni: &TestPatroni, old: usize) {
    eventually(SOON, "Patroni promotes another server", async || {
        patroni.leader().await.is_some_and(|leader| leader != old)
    })
    .await;
}

/// A client of its own writes, and is acknowledged.
async fn writes_again(system: &TestSystem, client: u32, key: &str) {
    let mut client = Client::new(client, system, Recorder::new(Clock::system()), Tokens::Sent);
    let outcome = tokio::time::timeout(SOON, client.create(key)).await;
    assert_eq!(outcome, Ok(Outcome::Written), "a write {key}");
}

/// When the last operation ended, on the history's clock.
fn now(load: &Load) -> Duration {
    load.history().iter().map(|one| one.ended).max().unwrap_or_default()
}

/// For how long nobody's write was acknowledged, and nobody's read answered; a client that waits with a write reads nothing.
/// How long it takes is for the most part Patroni's.
fn tell(what: &str, load: &Load, since: Duration) {
    let history: Vec<Operation> = load.history().into_iter().filter(|one| one.ended >= since).collect();
    let writes = longest_without(&history, |one| one.written().is_some());
    let reads = longest_without(&history, |one| one.seen().is_some());
    let failed = history.iter().filter(|one| matches!(one.action, Action::Read(_)) && one.seen().is_none());
    eprintln!(
        "{what}: {:.1} s without a write, {:.1} s without a read, {} reads failed",
        writes.as_secs_f64(),
        reads.as_secs_f64(),
        failed.count()
    );
}

fn longest_without(history: &[Operation], is_done: impl Fn(&Operation) -> bool) -> Duration {
    let mut ends: Vec<Duration> = history.iter().filter(|one| is_done(one)).map(|one| one.ended).collect();
    ends.sort_unstable();
    ends.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or_default()
}
