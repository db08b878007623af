//! Processes that hold a lock in turn, one of which is stopped past the end of its lease: with the fence nothing is written
//! under an overtaken token; without it something is, and the history tells.

use crate::support::{PATIENCE, Stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onefold_lab::Verdict;
use onefold_lab::rule::fenced::{self, Effect};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio_postgres::Client;

const HOLDERS: [&str; 2] = ["one", "two"];
/// More than the holders' lease.
const STOPPED: Duration = Duration::from_millis(900);
/// A holder that has written nothing for so long does not hold the lock; or it is slow, which breaks nothing here.
const RESTS: Duration = Duration::from_millis(500);

struct Holders(Vec<Child>);

impl Holders {
    fn start(url: &str, way: &str) -> Self {
        let here = std::env::current_exe().unwrap();
        let program = here.ancestors().nth(2).unwrap().join("examples/holder");
        let spawn = |name: &&str| {
            let mut holder = Command::new(&program);
            holder.args([url, name, way]).stderr(Stdio::null()).spawn().unwrap()
        };
        Self(HOLDERS.iter().map(spawn).collect())
    }

    fn signal(&self, at: usize, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0[at].id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for holder in &mut self.0 {
            // It may have ended already.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// Stops whoever writes, until another has written, and lets it go on for a moment.
async fn sleeps_past_its_lease(client: &Client, holders: &Holders) {
    let before = effects(client).await.len();
    until_more(client, before).await;
    let newest = effects(client).await.pop().unwrap();
    let at = HOLDERS.iter().position(|name| **name == newest.holder).unwrap();
    holders.signal(at, Signal::SIGSTOP);
    tokio::time::sleep(STOPPED).await;
    let taken = async {
        while effects(client).await.last().unwrap().holder == newest.holder {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the other one takes the lock");
    holders.signal(at, Signal::SIGCONT);
    tokio::time::sleep(RESTS).await;
}

async fn until_more(client: &Client, than: usize) {
    let waiting = async {
        while effects(client).await.len() <= than {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("somebody writes");
}

/// In the order in which they were written.
async fn effects(client: &Client) -> Vec<Effect> {
    let rows = client
        .query(
            "select holder, token, (extract(epoch from at - (select min(at) from effect)) * 1e6)::bigint
             from effect order by at",
            &[],
        )
        .await
        .unwrap();
    let effect = |row: &tokio_postgres::Row| {
        let at = Duration::from_micros(row.get::<_, i64>(2).unsigned_abs());
        Effect {
            lock: "purge".to_owned(),
            holder: row.get(0),
            token: row.get::<_, i64>(1).unsigned_abs(),
            called: at,
            ended: at,
        }
    };
    rows.iter().map(effect).collect()
}

async fn stage() -> (Stage, Client) {
    let stage = Stage::new().await;
    let client = stage.server.client().await;
    client.batch_execute("create table effect (holder text, token bigint, at timestamptz)").await.unwrap();
    (stage, client)
}

#[tokio::test]
async fn a_fenced_holder_that_slept_past_its_lease_writes_nothing() {
    let (stage, client) = stage().await;
    let holders = Holders::start(&stage.server.url(), "fenced");
    for _ in 0..2 {
        sleeps_past_its_lease(&client, &holders).await;
    }
    drop(holders);
    let verdict = fenced::check(&effects(&client).await);
    assert!(matches!(verdict, Verdict::Held { checked } if checked > 0), "{verdict}");
}

#[tokio::test]
async fn a_careless_holder_that_slept_past_its_lease_is_noticed() {
    let (stage, client) = stage().await;
    let holders = Holders::start(&stage.server.url(), "careless");
    let noticed = async {
        loop {
            sleeps_past_its_lease(&client, &holders).await;
            if let Verdict::Broken(violation) = fenced::check(&effects(&client).await) {
                return violation.what;
            }
        }
    };
    let what = tokio::time::timeout(4 * PATIENCE, noticed).await.expect("it writes when it wakes up");
    assert!(what.contains("was accepted"), "{what}");
}
