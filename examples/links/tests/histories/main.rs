//! Nothing acknowledged is lost, though processes die and hang under load: clients record what they did and saw, and
//! the rules of `onefold-lab` decide. What a rule must catch is planted, and caught.
//!
//! `make soak` runs the same for as long as it is asked to, from a seed that it prints.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod client;
mod failures;
mod faults;
mod load;
mod patroni;
mod recovery;

use faults::Faults;
use load::Load;
use onefold::testing::{TestSystem, eventually};
use onefold_lab::{Verdict, rule};
use std::time::Duration;

/// Whether clients send the tokens of their sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    Sent,
    Ignored,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_kept_though_processes_die_and_hang() {
    let (seed, minutes) = (number("ONEFOLD_SEED", 7), number("ONEFOLD_MINUTES", 0));
    eprintln!("ONEFOLD_SEED={seed}");
    let system = TestSystem::start(env!("CARGO_BIN_EXE_links")).await;
    let load = Load::start(&system, seed, Tokens::Sent);
    let mut faults = Faults::of(seed);
    faults.each_once(&system).await;
    faults.at_random(&system, Duration::from_mins(minutes)).await;
    let found = load.stop(&system).await;
    eprintln!("{}", found.summary());
    for (name, verdict) in found.verdicts() {
        eprintln!("{name}: {verdict}");
        assert!(matches!(verdict, Verdict::Held { checked } if checked > 0), "{name}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_sent_is_noticed() {
    let system = TestSystem::start(env!("CARGO_BIN_EXE_links")).await;
    // Writes are acknowledged by the other replica, and this one shows less and less of them.
    let late = system.postgres("postgres-2").await;
    late.batch_execute("select pg_wal_replay_pause()").await.unwrap();
    let load = Load::start(&system, 7, Tokens::Ignored);
    eventually(Duration::from_mins(1), "a session goes backwards", async || {
        matches!(rule::sessions::check(&load.history()), Verdict::Broken(_))
    })
    .await;
    // The replay that goes on may cancel the very statement that let it.
    let _ = late.batch_execute("select pg_wal_replay_resume()").await;
    let found = load.stop(&system).await;
    assert!(matches!(rule::kept::check(&found.history), Verdict::Held { .. }), "nothing else was broken");
}

/// A number from the environment, for `make soak`.
fn number(name: &str, or: u64) -> u64 {
    variable(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[expect(clippy::disallowed_methods, reason = "a test has no topology that could say it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
