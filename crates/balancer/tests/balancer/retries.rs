//! What is tried again, and what never is.

use crate::fleet::{Fleet, quick};
use crate::node::{Node, Reply, full, status, streamed};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use onefold_balancer::{Config, Health};
use onefold_core::TaskGroup;
use onefold_core::deadline::parse_duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A node that reads each request and closes the connection instead of answering.
async fn closing(name: &str, zone: &str) -> Node {
    Node::start(name, zone, |_| std::future::ready(None)).await
}

#[tokio::test]
async fn an_endpoint_killed_under_load_costs_no_get() {
    let nodes =
        [Node::plain("app-a", "a").await, Node::plain("app-b", "b").await, Node::plain("app-c", "c").await];
    let config = Config { prefer_zone: false, ..quick() };
    let fleet = Arc::new(Fleet::start(config, &[&nodes[0], &nodes[1], &nodes[2]]));
    let served = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let clients = TaskGroup::new();
    for _ in 0..16 {
        let (fleet, served, failed, stopping) =
            (fleet.clone(), served.clone(), failed.clone(), clients.stopping());
        clients.spawn("client", async move {
            let mut client = fleet.client().await;
            while !stopping.is_cancelled() {
                let answer = client.get("/").await;
                let counter = if answer.status == 200 { &served } else { &failed };
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let until = |count: usize| {
        let served = served.clone();
        async move { crate::fleet::eventually("requests", || served.load(Ordering::SeqCst) >= count).await }
    };
    until(300).await;
    nodes[1].kill().await;
    until(served.load(Ordering::SeqCst) + 1000).await;
    assert!(clients.stop(crate::client::PATIENCE).await);
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", served.load(Ordering::SeqCst));
    assert!(nodes[1].count() > 0, "it had its share before");
}

#[tokio::test]
async fn a_post_that_was_sent_is_never_sent_again() {
    let nodes = [closing("app-a", "a").await, closing("app-b", "b").await];
    let fleet = Fleet::start(quick(), &[&nodes[0], &nodes[1]]);
    for (method, body) in [("POST", "hi"), ("POST", ""), ("PATCH", "hi")] {
        let before = nodes[0].begun() + nodes[1].begun();
        let length = body.len();
        let request = format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        assert_eq!(fleet.client().await.ask(&request).await.status, 502);
        assert_eq!(nodes[0].begun() + nodes[1].begun(), before + 1, "{method}");
    }
}

#[tokio::test]
async fn what_a_node_that_fell_silent_has_in_hand_is_done_by_another_if_it_may_be_repeated() {
    let hanging = Node::start("app-a", "a", |_| std::future::pending()).await;
    let good = Node::plain("app-b", "b").await;
    let fleet = Fleet::start(quick(), &[&hanging, &good]);
    fleet.until("app-a", Health::Ready).await;
    let (mut get, mut post) = (fleet.client().await, fleet.client().await);
    get.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    post.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    crate::fleet::eventually("both are in its hands", || hanging.count() == 2).await;
    hanging.fall_silent();
    assert_eq!(get.answer().await.unwrap().text(), "app-b");
    assert!(!post.has_answer().await, "it may yet be done");
    assert_eq!((hanging.count(), good.count()), (2, 1));
}

#[tokio::test]
async fn what_may_be_repeated_is_with_its_whole_body_at_another_endpoint() {
    let bad = closing("bad", "a").await;
    let good = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&bad, &good]);
    let body = "x".repeat(10_000);
    let length = body.len();
    for head in ["GET", "DELETE", "PUT", "POST"] {
        let key = if head == "POST" { "idempotency-key: k\r\n" } else { "" };
        let before = good.count();
        let request =
            format!("{head} /{head} HTTP/1.1\r\nhost: a\r\n{key}content-length: {length}\r\n\r\n{body}");
        let answer = fleet.client().await.ask(&request).await;
        assert_eq!((answer.status, answer.text()), (200, "good"), "{head}");
        assert_eq!(good.count(), before + 1, "{head}");
        assert_eq!(good.seen()[before].body.len(), length, "{head}");
        assert_eq!(good.seen()[before].headers["x-forwarded-for"], "127.0.0.1", "{head}");
    }
    assert!(fleet.metric("onefold_balancer_retries_total{reason=\"reset\"}") >= 1.0);
}

#[tokio::test]
async fn a_retry_has_less_time_left() {
    let slow = Node::start("slow", "a", |_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        None
    })
    .await;
    let good = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&slow, &good]);
    assert_eq!(fleet.get("/").await.text(), "good");
    assert_eq!(slow.seen()[0].headers["onefold-timeout"], "30000ms");
    let left = good.seen()[0].headers["onefold-timeout"].to_str().unwrap().to_owned();
    assert!(parse_duration(&left).unwrap() <= Duration::from_millis(29_950), "{left}");
}

#[tokio::test]
async fn a_body_too_large_to_keep_is_not_repeated() {
    let nodes = [closing("app-a", "a").await, closing("app-b", "b").await];
    let fleet = Fleet::start(quick(), &[&nodes[0], &nodes[1]]);
    let body = "x".repeat(100_000);
    let request = format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(fleet.client().await.ask(&request).await.status, 502);
    assert_eq!(nodes[0].begun() + nodes[1].begun(), 1);
}

#[tokio::test]
async fn what_could_not_be_sent_goes_elsewhere_whatever_its_method() {
    let dead = Node::plain("dead", "a").await;
    let good = Node::plain("good", "b").await;
    dead.kill().await;
    let fleet = Fleet::start(quick(), &[&dead, &good]);
    for _ in 0..5 {
        let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        let answer = fleet.client().await.ask(request).await;
        assert_eq!((answer.status, answer.text()), (200, "good"));
    }
    assert!(good.seen().iter().all(|seen| seen.body == "hi"));
}

#[tokio::test]
async fn when_nothing_can_be_reached_the_client_is_told_to_come_back() {
    let dead = Node::plain("dead", "a").await;
    dead.kill().await;
    let fleet = Fleet::start(quick(), &[&dead]);
    let answer = fleet.get("/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let nobody = Fleet::start(quick(), &[]);
    assert_eq!(nobody.get("/").await.status, 503);
}

#[tokio::test]
async fn a_storm_of_retries_stays_within_its_budget() {
    let nodes = [closing("app-a", "a").await, closing("app-b", "b").await, closing("app-c", "c").await];
    let config = Config { retry_per_second: 1.0, prefer_zone: false, ..quick() };
    let fleet = Fleet::start(config, &[&nodes[0], &nodes[1], &nodes[2]]);
    let mut client = fleet.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.status, 502);
    }
    let tries: usize = nodes.iter().map(Node::begun).sum();
    let denied = fleet.metric("onefold_balancer_retries_denied_total");
    // A fifth of the requests, one in stock, and what drips in while they run.
    assert!((100..=135).contains(&tries), "{tries} tries, {denied} denied");
    assert!(denied > 50.0, "{denied}");
}

fn declining(
    closes: bool,
) -> impl Fn(crate::node::Seen) -> std::future::Ready<Reply> + Send + Sync + 'static {
    move |_| {
        let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
        *response.body_mut() = full("mine");
        if closes {
            response.headers_mut().insert("connection", "close".parse().unwrap());
        }
        std::future::ready(Some(response))
    }
}

#[tokio::test]
async fn a_leaving_nodes_503_is_repeated_and_a_busy_nodes_is_passed_on() {
    let leaving = Node::start("leaving", "a", declining(true)).await;
    let good = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&leaving, &good]);
    assert_eq!(fleet.get("/").await.text(), "good");
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";

    let busy = Node::start("busy", "a", declining(false)).await;
    let fleet = Fleet::start(quick(), &[&busy, &good]);
    let answer = fleet.get("/").await;
    assert_eq!((answer.status, answer.text()), (503, "mine"));

    let fleet = Fleet::start(quick(), &[&leaving, &good]);
    let answer = fleet.client().await.ask(post).await;
    assert_eq!((answer.status, answer.text()), (503, "mine"), "the node has read it, and may have acted");
}

fn refusing(_: crate::node::Seen) -> std::future::Ready<Reply> {
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
    *response.body_mut() = full("full");
    let headers = response.headers_mut();
    headers.insert("onefold-refused", "full".parse().unwrap());
    headers.insert("retry-after", "2".parse().unwrap());
    std::future::ready(Some(response))
}

#[tokio::test]
async fn what_a_full_node_refuses_goes_to_another_whatever_its_method_and_nobody_is_ejected() {
    let busy = Node::start("busy", "a", refusing).await;
    let good = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&busy, &good]);
    let mut client = fleet.client().await;
    for _ in 0..5 {
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(client.ask(post).await.text(), "good");
        assert_eq!(client.get("/").await.text(), "good");
    }
    assert!(busy.count() > 0 && good.seen().iter().any(|seen| seen.body == "hi"));
    assert_eq!(busy.connections(), 1, "a refusal costs no connection");

    let other = Node::start("other", "b", refusing).await;
    let fleet = Fleet::start(quick(), &[&busy, &other]);
    let mut client = fleet.client().await;
    for _ in 0..50 {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.text(), answer.header("retry-after")), (503, "full", Some("2")));
    }
    let refusals =
        |name| fleet.metric(&format!("onefold_balancer_endpoint_refusals_total{{endpoint=\"{name}\"}}"));
    let tries = refusals("busy") + refusals("other");
    assert!((50.0..=75.0).contains(&tries), "{tries} tries of 50 requests, while all are full");
    for name in ["busy", "other"] {
        let failures =
            fleet.metric(&format!("onefold_balancer_endpoint_failures_total{{endpoint=\"{name}\"}}"));
        assert!(failures.abs() < 0.5, "{name} is full, not ill");
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_begun_again() {
    let cut = Node::start("cut", "a", |_| async {
        let mut response = streamed(stream::iter(["only this"]).chain(stream::pending()));
        response.headers_mut().insert("content-length", "100".parse().unwrap());
        Some(response)
    })
    .await;
    let good = Node::plain("good", "b").await;
    let fleet = Fleet::start(quick(), &[&cut, &good]);
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.more_than(0).await;
    cut.kill().await;
    assert!(client.answer().await.is_none(), "the client sees a connection cut short");
    assert_eq!((cut.count(), good.count()), (1, 0));
}
