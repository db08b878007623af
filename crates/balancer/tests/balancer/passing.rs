//! What is changed on the way, in both directions.

use crate::fleet::{Fleet, quick};
use crate::node::{Node, full};
use http::Response;
use onefold_balancer::Config;

#[tokio::test]
async fn the_node_learns_who_asks_and_cannot_be_lied_to() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let lies = "x-forwarded-for: 6.6.6.6\r\nx-forwarded-host: evil\r\nx-forwarded-proto: https\r\nforwarded: for=6.6.6.6\r\n\
                x-real-ip: 6.6.6.6\r\nonefold-served-by: me\r\nonefold-session: token\r\n";
    fleet.client().await.ask(&format!("GET / HTTP/1.1\r\nhost: shop:80\r\n{lies}\r\n")).await;
    let headers = &node.seen()[0].headers;
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], "shop:80");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["host"], "shop:80");
    assert_eq!(headers["onefold-session"], "token", "clients do send that one");
    for name in ["forwarded", "x-real-ip", "onefold-served-by"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_trusted_peer_is_believed_and_added() {
    let node = Node::plain("app-a", "a").await;
    let config = Config { trusted_peers: vec!["127.0.0.0/8".parse().unwrap()], ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    fleet
        .client()
        .await
        .ask("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 6.6.6.6, 1.2.3.4\r\nx-forwarded-proto: https\r\n\r\n")
        .await;
    let headers = &node.seen()[0].headers;
    assert_eq!(headers["x-forwarded-for"], "6.6.6.6, 1.2.3.4, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn trace_and_request_id_are_kept_passed_on_and_returned() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = format!(
        "GET / HTTP/1.1\r\nhost: a\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01\r\ntracestate: x=1\r\nx-request-id: order-7\r\n\r\n"
    );
    let answer = fleet.client().await.ask(&request).await;
    let seen = node.seen();
    let sent = seen[0].headers["traceparent"].to_str().unwrap();
    assert!(sent.contains(trace) && !sent.contains("b7ad6b7169203331"), "a child span: {sent}");
    assert_eq!(seen[0].headers["tracestate"], "x=1");
    assert_eq!(seen[0].headers["x-request-id"], "order-7");
    assert_eq!(answer.header("traceparent"), Some(sent));
    assert_eq!(answer.header("x-request-id"), Some("order-7"));

    let answer = fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nx-request-id: a b\r\n\r\n").await;
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(node.seen()[1].headers["x-request-id"], id);
}

#[tokio::test]
async fn the_nodes_own_lines_arrive_and_its_hop_by_hop_ones_do_not() {
    let node = Node::start("app-a", "a", |_| async {
        let mut response = Response::new(full("hello"));
        let headers = response.headers_mut();
        headers.insert("onefold-served-by", "app-a;zone=a".parse().unwrap());
        headers.insert("connection", "x-internal".parse().unwrap());
        headers.insert("x-internal", "1".parse().unwrap());
        headers.insert("keep-alive", "timeout=5".parse().unwrap());
        headers.append("set-cookie", "a=1".parse().unwrap());
        Some(response)
    })
    .await;
    let fleet = Fleet::start(quick(), &[&node]);
    let answer = fleet.get("/").await;
    assert_eq!(answer.header("onefold-served-by"), Some("app-a;zone=a"));
    assert_eq!(answer.header("set-cookie"), Some("a=1"));
    assert_eq!(answer.header("content-length"), Some("5"));
    for name in ["x-internal", "keep-alive", "transfer-encoding"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn the_time_that_is_left_is_passed_on_and_shrinks() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    fleet.get("/").await;
    fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nonefold-timeout: 5s\r\n\r\n").await;
    fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nonefold-timeout: 5h\r\n\r\n").await;
    let passed: Vec<_> = node
        .seen()
        .iter()
        .map(|seen| {
            let text = seen.headers["onefold-timeout"].to_str().unwrap();
            onefold_core::deadline::parse_duration(text).unwrap().as_millis()
        })
        .collect();
    assert_eq!(passed[0], 30_000, "ours, where the client has none");
    assert!(passed[1] <= 5_000 && passed[1] > 3_000, "{passed:?}");
    assert!(passed[2] <= 30_000 && passed[2] > 25_000, "never more than ours: {passed:?}");
    let answer = fleet.client().await.ask("GET / HTTP/1.1\r\nhost: a\r\nonefold-timeout: soon\r\n\r\n").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn head_and_no_content_have_no_body_and_keep_the_connection() {
    let node = Node::start("app-a", "a", |seen| async move {
        if seen.target == "/gone" {
            return Some(crate::node::status(http::StatusCode::NO_CONTENT));
        }
        crate::node::ok("hello")
    })
    .await;
    let fleet = Fleet::start(Config { threads: 1, ..quick() }, &[&node]);
    let mut client = fleet.client().await;
    client.write(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\nGET /gone HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let bytes = loop {
        let text = client.unread_text();
        if text.ends_with("hello") {
            break text;
        }
        let seen = text.len();
        client.more_than(seen).await;
    };
    assert_eq!(bytes.matches("HTTP/1.1 200 OK").count(), 2, "{bytes}");
    assert_eq!(bytes.matches("HTTP/1.1 204 No Content").count(), 1, "{bytes}");
    assert_eq!(bytes.matches("hello").count(), 1, "{bytes}");
    assert_eq!(node.connections(), 1, "one connection served all three");
}
