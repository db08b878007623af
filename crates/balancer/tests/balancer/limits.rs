//! Time, size and number.

use crate::client::Client;
use crate::fleet::{Fleet, eventually, quick};
use crate::node::{EARLY, Node, ok, streamed};
use futures_util::{StreamExt as _, stream};
use onefold_balancer::Config;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_504() {
    let node = Node::start("app-a", "a", |_| std::future::pending()).await;
    let fleet = Fleet::start(Config { request_timeout: SHORT, ..quick() }, &[&node]);
    let answer = fleet.get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (504, Some("application/problem+json")));
    let failures = "onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}";
    assert!((fleet.metric(failures) - 1.0).abs() < 0.5);
    let answer = fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nonefold-timeout: 20ms\r\n\r\n").await;
    assert_eq!(answer.status, 504);
    assert!((fleet.metric(failures) - 1.0).abs() < 0.5, "a client in a hurry is not the node's failure");
    assert_eq!(node.count(), 2, "nothing was repeated: no time is left");
    let answer = fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nonefold-timeout: 0ms\r\n\r\n").await;
    assert_eq!((answer.status, node.count()), (504, 2));
}

#[tokio::test]
async fn a_slowloris_is_closed_and_the_rest_served() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(Config { header_timeout: SHORT, ..quick() }, &[&node]);
    let mut silent = fleet.client().await;
    let mut dripping = fleet.client().await;
    dripping.write(b"GET / HTTP/1.1\r\nhost: a\r\n").await;
    let drip = async {
        while dripping.write_if_open(b"x: y\r\n").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if dripping.has_answer().await {
                break;
            }
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, drip).await.expect("an end of the drip");
    assert_eq!(dripping.answer().await.map(|answer| answer.status), Some(408));
    assert!(silent.is_closed().await);
    assert_eq!(fleet.get("/").await.status, 200);
    assert_eq!(node.count(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_its_time_and_not_while_it_waits_for_us() {
    let node = Node::start("app-a", "a", |_| async {
        tokio::time::sleep(SHORT * 3).await;
        ok("slow")
    })
    .await;
    let config = Config { client_idle_timeout: SHORT, header_timeout: SHORT, ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    let mut client = fleet.client().await;
    assert_eq!(client.get("/").await.text(), "slow");
    assert!(client.is_closed().await);
}

fn upload(length: usize) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_body_that_stands_still_or_drips_is_a_408() {
    let node = Node::plain("app-a", "a").await;
    let config = Config { body_idle_timeout: SHORT, body_bytes_per_second_min: 10_000, ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    let mut still = fleet.client().await;
    still.write(&upload(10)).await;
    assert_eq!(still.answer().await.unwrap().status, 408);
    let mut dripping = fleet.client().await;
    dripping.write(&upload(100_000)).await;
    while dripping.write_if_open(b"x").await && !dripping.has_answer().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(dripping.answer().await.unwrap().status, 408);
    assert_eq!(node.count(), 0);
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_whether_announced_or_not() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(Config { body_bytes_max: 1000, ..quick() }, &[&node]);
    assert_eq!(fleet.raw(&upload(1001)).await.unwrap().status, 413);
    assert_eq!(node.begun(), 0);
    let body = "x".repeat(1001);
    let chunked =
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{body}\r\n0\r\n\r\n");
    assert_eq!(fleet.raw(chunked.as_bytes()).await.unwrap().status, 413);
    assert_eq!(node.count(), 0);
    let mut whole = upload(1000);
    whole.extend_from_slice(&body.as_bytes()[..1000]);
    assert_eq!(fleet.raw(&whole).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_is_still_sending_reads_why_it_should_stop() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(Config { body_bytes_max: 1000, ..quick() }, &[&node]);
    let mut client = fleet.client().await;
    let mut whole = upload(4 << 20);
    whole.resize(whole.len() + (4 << 20), b'x');
    client.write_if_open(&whole).await;
    assert_eq!(client.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_arrives() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let mut client = fleet.client().await;
    client
        .write(format!("POST {EARLY} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nabc").as_bytes())
        .await;
    assert_eq!(client.answer().await.unwrap().status, 413);
    assert_eq!(fleet.get("/").await.status, 200, "and the next request is answered too");
}

#[tokio::test]
async fn a_client_over_its_rate_gets_429_and_when_to_come_back() {
    let node = Node::plain("app-a", "a").await;
    let config = Config { rate_limit_per_second: 1, rate_limit_burst: 3, ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    let mut client = fleet.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let denied = client.get("/").await;
    assert_eq!((denied.status, denied.header("retry-after")), (429, Some("1")));
    assert_eq!(node.count(), 3);
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(Config { client_connections_max: 2, ..quick() }, &[&node]);
    let mut kept = [fleet.client().await, fleet.client().await];
    for client in &mut kept {
        assert_eq!(client.get("/").await.status, 200);
    }
    let mut third = fleet.client().await;
    let answer = third.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(kept);
    let mut served = false;
    for _ in 0..1000 {
        let mut client = Client::connect(fleet.address).await;
        client.write_if_open(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        served = client.answer().await.is_some_and(|answer| answer.status == 200);
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(served, "a place is free again");
}

#[tokio::test]
async fn a_response_that_stands_still_is_cut() {
    let node = Node::start("app-a", "a", |_| async {
        Some(streamed(stream::iter(["one"]).chain(stream::pending())))
    })
    .await;
    let fleet = Fleet::start(Config { response_idle_timeout: SHORT, ..quick() }, &[&node]);
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.answer().await.is_none());
    eventually("nothing in flight", || fleet.balancer.endpoints()[0].in_flight == 0).await;
    assert!(fleet.metric("onefold_balancer_aborted_total") >= 1.0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let piece: &'static str = "x".repeat(1 << 18).leak();
    let node = Node::start("app-a", "a", move |_| async move { Some(streamed(stream::repeat(piece))) }).await;
    let fleet = Fleet::start(Config { write_timeout: SHORT, ..quick() }, &[&node]);
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("the request to arrive", || node.count() == 1).await;
    eventually("nothing in flight", || fleet.balancer.endpoints()[0].in_flight == 0).await;
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}

#[tokio::test]
async fn a_long_upload_is_nobodys_failure_while_it_goes_on() {
    let node = Node::plain("app-a", "a").await;
    let config = Config { request_timeout: SHORT, ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    let mut client = fleet.client().await;
    client.write(&upload(40)).await;
    for _ in 0..40 {
        client.write(b"x").await;
        tokio::time::sleep(SHORT / 15).await;
    }
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(node.seen()[0].body.len(), 40);
}

#[tokio::test]
async fn a_stream_is_cut_when_the_time_of_the_whole_exchange_is_over() {
    let node = Node::start("app-a", "a", |_| async {
        Some(streamed(stream::repeat("more").then(|piece| async move {
            tokio::time::sleep(SHORT / 15).await;
            piece
        })))
    })
    .await;
    let fleet = Fleet::start(Config { exchange_timeout: SHORT, ..quick() }, &[&node]);
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.answer().await.is_none());
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}

#[tokio::test]
async fn unused_connections_to_a_node_are_closed_before_the_node_does() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(Config { endpoint_idle_timeout: SHORT, ..quick() }, &[&node]);
    assert_eq!(fleet.get("/").await.status, 200);
    assert_eq!(fleet.balancer.endpoints()[0].connections, 1);
    eventually("it to be closed", || fleet.balancer.endpoints()[0].connections == 0).await;
}
