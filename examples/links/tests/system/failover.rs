//! What clients notice when the primary dies or hangs: writes wait for its successor, and nothing is lost.

use crate::BINARY;
use crate::client::Client;
use crate::load::Load;
use nix::sys::signal::Signal;
use onefold::testing::{Phase, TestSystem, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A loaded machine may take long to promote; whoever waits for a primary shall not give up before.
const PATIENT: &str = "[database]\nconnect_timeout = '25s'\n";
const WAIT: Duration = Duration::from_mins(1);

/// How a primary comes to its end.
#[derive(Clone, Copy, Debug)]
enum End {
    Wanted,
    Dies,
    Hangs,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_leaves_dies_or_hangs_costs_no_read_and_no_acknowledged_write() {
    let system = TestSystem::start_with(BINARY, PATIENT).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let (reads, writer) = (Load::start(&client, &code, 2), Writer::start(&client));
    for end in [End::Wanted, End::Dies, End::Hangs] {
        reads.more(50).await;
        writer.more(10).await;
        let fallen = primary(&system).await;
        writer.forget_pause();
        match end {
            End::Wanted => switch_over(&system, &fallen),
            End::Dies => system.signal(&fallen, Signal::SIGKILL),
            End::Hangs => system.signal(&fallen, Signal::SIGSTOP),
        }
        eventually(WAIT, "another is the primary", async || primary(&system).await != fallen).await;
        reads.more(50).await;
        writer.more(10).await;
        println!("{end:?}: the longest wait for a write was {} ms", writer.longest_ms());
        eventually(WAIT, "the old primary is a replica", async || {
            let node = system.node(&fallen);
            node.role == "replica" && node.state == Phase::Ready
        })
        .await;
    }
    reads.stop().await;
    let codes = writer.stop().await;
    for code in &codes {
        let request = client.request(Method::GET, &format!("/links/{code}"));
        let response = request.header("onefold-consistency", "strong").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{code} of {} is lost", codes.len());
    }
}

/// Names a replica to take over; the primary itself cannot, and is not asked to leave for that.
fn switch_over(system: &TestSystem, from: &str) {
    let refused = system.command(&["database", "switchover", "--to", from]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("is the primary already"), "{said}");
    let to = if from == "postgres-3" { "postgres-2" } else { "postgres-3" };
    let said = system.run(&["database", "switchover", "--to", to]);
    assert_eq!(said.trim(), format!("{to} is the primary"));
    let status: Value = serde_json::from_str(&system.run(&["database", "status", "--json"])).unwrap();
    let server = status.as_array().unwrap().iter().find(|server| server["name"] == to).unwrap();
    assert_eq!(server["role"], "primary", "{status}");
}

/// Who the primary is; waits while there is none.
async fn primary(system: &TestSystem) -> String {
    let mut found = None;
    eventually(WAIT, "there is one primary", async || {
        let nodes = system.nodes();
        let mut primaries = nodes.iter().filter(|node| node.role == "primary");
        found = primaries.next().map(|node| node.name.to_string());
        found.is_some() && primaries.next().is_none()
    })
    .await;
    found.unwrap()
}

/// A client that creates link after link, each under a key of its own until it is told of it, and then reads it.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    longest_ms: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "it is joined by `stop`")]
    fn start(client: &Client) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let longest_ms = Arc::new(AtomicUsize::new(0));
        let writing = write(client.clone(), Arc::clone(&stop), Arc::clone(&written), Arc::clone(&longest_ms));
        Self { stop, written, longest_ms, task: tokio::spawn(writing) }
    }

    /// Waits until so many more were written.
    async fn more(&self, count: usize) {
        let goal = self.written.load(Ordering::Relaxed) + count;
        eventually(WAIT, "writes go on", async || self.written.load(Ordering::Relaxed) >= goal).await;
    }

    fn forget_pause(&self) {
        self.longest_ms.store(0, Ordering::Relaxed);
    }

    fn longest_ms(&self) -> usize {
        self.longest_ms.load(Ordering::Relaxed)
    }

    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "what it measures is printed, and decides nothing")]
async fn write(
    mut client: Client,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    longest_ms: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut codes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (begun, number) = (Instant::now(), codes.len());
        let code = loop {
            let request =
                client.request(Method::POST, "/links").header("idempotency-key", format!("key-{number}"));
            let response =
                client.send(request.json(&json!({ "url": format!("https://example.com/{number}") }))).await;
            if response.status() == StatusCode::CREATED {
                break response.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned();
            }
            assert!(
                response.status().is_server_error() || response.status() == StatusCode::CONFLICT,
                "{response:?}"
            );
        };
        let took = begun.elapsed().as_millis();
        longest_ms.fetch_max(usize::try_from(took).unwrap(), Ordering::Relaxed);
        // Whatever happens meanwhile, a session reads what it wrote.
        let read = client.get(&format!("/links/{code}")).await;
        assert_eq!(read.status(), StatusCode::OK, "{code} was acknowledged");
        codes.push(code);
        written.fetch_add(1, Ordering::Relaxed);
    }
    codes
}
