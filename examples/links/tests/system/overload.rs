//! More than the system can do, and the moment after an outage: what is refused is told so, and nobody asks for ever.

use crate::client::{Client, header};
use crate::{BINARY, QUIET, start_quiet};
use nix::sys::signal::Signal;
use onefold::testing::{TestSystem, eventually, signal_all};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};

const APP_NODES: [&str; 3] = ["app-a", "app-b", "app-c"];
const WAIT: Duration = Duration::from_mins(1);

async fn sum(system: &TestSystem, metric: &str) -> f64 {
    let mut sum = 0.0;
    for node in APP_NODES {
        sum += system.metric(node, metric).await;
    }
    sum
}

#[tokio::test]
async fn what_is_too_much_is_refused_at_once_and_no_node_is_blamed() {
    const AT_ONCE: usize = 300;
    let system = TestSystem::start_with(BINARY, &format!("{QUIET}\n[app]\nconcurrency = 2\n")).await;
    let client = Client::of(&system);
    let mut posts = JoinSet::new();
    for number in 0..AT_ONCE {
        let url = format!("https://example.com/{number}");
        posts.spawn(client.request(Method::POST, "/links").json(&json!({ "url": url })).send());
    }
    let (mut created, mut refused) = (0, 0);
    while let Some(answer) = posts.join_next().await {
        let answer = answer.unwrap().unwrap();
        if answer.status() == StatusCode::CREATED {
            created += 1;
            continue;
        }
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        if answer.headers().contains_key("onefold-refused") {
            refused += 1;
            let after: u32 = header(&answer, "retry-after").parse().unwrap();
            assert!((1..=3).contains(&after), "{after}");
            assert_eq!(header(&answer, "content-type"), "application/problem+json");
            assert!(!header(&answer, "traceparent").is_empty());
        }
    }
    println!("{created} of {AT_ONCE} created, {refused} refused by nodes");
    assert!(created > 0 && refused > 0, "{created} created, {refused} refused");
    assert!(sum(&system, "onefold_app_refused_total").await >= f64::from(refused));
    let primary = system.primary().await;
    let stored: i64 = primary.query_one("select count(*) from links", &[]).await.unwrap().get(0);
    assert_eq!(stored, i64::from(created), "nothing was done for the refused");
    for metric in ["onefold_balancer_ejections_total", "onefold_balancer_endpoint_failures_total"] {
        assert!(system.metric("balancer", metric).await < 0.5, "{metric}");
    }
    eventually(WAIT, "links are created again", async || {
        let post = client.request(Method::POST, "/links").json(&json!({ "url": "https://example.com" }));
        post.send().await.unwrap().status() == StatusCode::CREATED
    })
    .await;
}

#[tokio::test]
async fn after_an_outage_of_all_app_nodes_retries_are_few_and_all_is_served_again() {
    let system = start_quiet().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let attempts = async || {
        sum(&system, "onefold_app_request_seconds_count").await
            + sum(&system, "onefold_app_refused_total").await
    };
    let before = attempts().await;
    let load = OpenLoad::start(&client, &format!("/links/{code}"));
    load.served(100).await;
    let nodes = APP_NODES.map(|node| system.node(node));
    signal_all(&nodes, Signal::SIGSTOP);
    tokio::time::sleep(Duration::from_secs(2)).await;
    signal_all(&nodes, Signal::SIGCONT);
    let seconds = load.calm().await;
    let (asked, took) = load.stop().await;
    let attempts = attempts().await - before;
    println!(
        "served normally {seconds:.1} s after the outage; {:.2} attempts for each request",
        attempts / asked
    );
    // The budget: a fifth of the requests, ten a second, and what was in stock.
    let most = asked * 1.2 + took * 10.0 + 10.0;
    assert!(attempts <= most, "{attempts} attempts for {asked} requests within {took} s");
}

/// Requests that come whatever becomes of those before them, as clients do that know nothing of each other.
struct OpenLoad {
    state: Arc<State>,
    task: JoinHandle<f64>,
}

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    asked: AtomicU32,
    served: AtomicU32,
    /// Served since the last that was not.
    in_a_row: AtomicU32,
}

impl OpenLoad {
    const EVERY: Duration = Duration::from_millis(10);
    const CALM: u32 = 100;

    #[expect(clippy::disallowed_methods, reason = "it is joined by `stop`")]
    fn start(client: &Client, path: &str) -> Self {
        let (client, path, state) = (client.clone(), path.to_owned(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let (mut asking, mut ticks) = (JoinSet::new(), tokio::time::interval(Self::EVERY));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !shared.is_over.load(Ordering::Relaxed) {
                ticks.tick().await;
                shared.asked.fetch_add(1, Ordering::Relaxed);
                let (request, state) = (client.request(Method::GET, &path), Arc::clone(&shared));
                asking.spawn(async move {
                    let answer = request.header("onefold-timeout", "1s").send().await;
                    if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                        state.served.fetch_add(1, Ordering::Relaxed);
                        state.in_a_row.fetch_add(1, Ordering::Relaxed);
                    } else {
                        state.in_a_row.store(0, Ordering::Relaxed);
                    }
                });
                while asking.try_join_next().is_some() {}
            }
            asking.join_all().await;
            begun.elapsed().as_secs_f64()
        });
        Self { state, task }
    }

    async fn served(&self, count: u32) {
        let served = || self.state.served.load(Ordering::Relaxed);
        eventually(WAIT, "requests are served", async || served() >= count).await;
    }

    /// Waits until a second's requests in a row were served, and answers after how many seconds the first of them was.
    #[expect(clippy::disallowed_methods, reason = "what it measures is printed, and decides nothing")]
    async fn calm(&self) -> f64 {
        self.state.in_a_row.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        let in_a_row = || self.state.in_a_row.load(Ordering::Relaxed);
        eventually(WAIT, "a second without a failure", async || in_a_row() >= Self::CALM).await;
        (begun.elapsed().as_secs_f64() - (Self::EVERY * Self::CALM).as_secs_f64()).max(0.0)
    }

    /// How many were asked, and for how many seconds.
    async fn stop(self) -> (f64, f64) {
        self.state.is_over.store(true, Ordering::Relaxed);
        let took = self.task.await.unwrap();
        (f64::from(self.state.asked.load(Ordering::Relaxed)), took)
    }
}
