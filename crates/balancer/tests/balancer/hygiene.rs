//! The table of raw vectors in the design: what is refused, with which status, and that nothing of it arrives.

use crate::client::Answer;
use crate::fleet::{Fleet, quick};
use crate::node::Node;

const HEAD: &str = "host: a\r\n";

fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /p HTTP/1.1\r\n{HEAD}{lines}\r\n{body}").into_bytes()
}

fn get(lines: &str) -> Vec<u8> {
    format!("GET /g HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// Each vector, the status that it gets, and its name.
fn refused() -> Vec<(&'static str, u16, Vec<u8>)> {
    let chunked = "transfer-encoding: chunked\r\n";
    let long = "y".repeat(64 << 10);
    let many = "x: 1\r\n".repeat(200);
    vec![
        ("CL.TE", 400, post("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
        ("TE.CL", 400, post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n")),
        ("equal CLs", 400, post("content-length: 3\r\ncontent-length: 3\r\n", "abc")),
        ("CL list", 400, post("content-length: 3, 3\r\n", "abc")),
        ("CL overflow", 400, post("content-length: 18446744073709551617\r\n", "abc")),
        ("CL sign", 400, post("content-length: +3\r\n", "abc")),
        ("CL empty", 400, post("content-length:\r\n", "")),
        ("TE list", 400, post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        ("TE twice", 400, post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
        ("TE identity", 400, post("transfer-encoding: identity\r\n", "")),
        ("TE with a tab in it", 400, post("transfer-encoding: chun\tked\r\n", "0\r\n\r\n")),
        (
            "TE on 1.0",
            400,
            b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        ),
        ("obs-fold", 400, get("host: a\r\nx: 1\r\n 2\r\n")),
        ("obs-fold in TE", 400, post("transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n")),
        ("NUL", 400, get("host: a\r\nx: 1\0\r\n")),
        ("bare LF", 400, b"GET /g HTTP/1.1\nhost: a\n\n".to_vec()),
        ("bare LF behind one line", 400, get("host: a\r\nx: 1\ny: 2\r\n")),
        ("bare CR", 400, get("host: a\r\nx: 1\ry: 2\r\n")),
        ("space before the colon", 400, post("content-length : 3\r\n", "abc")),
        ("no colon", 400, get("host: a\r\nnonsense\r\n")),
        ("chunk extension with bare LF", 400, post(chunked, "3;a\nabc\r\n0\r\n\r\n")),
        ("chunk size with bare LF", 400, post(chunked, "3\nabc\r\n0\r\n\r\n")),
        ("chunk size 0x", 400, post(chunked, "0x3\r\nabc\r\n0\r\n\r\n")),
        ("chunk size overflow", 400, post(chunked, "10000000000000003\r\nabc\r\n0\r\n\r\n")),
        ("chunk data too long", 400, post(chunked, "3\r\nabcd\r\n0\r\n\r\n")),
        ("no Host", 400, get("x: 1\r\n")),
        ("empty Host", 400, get("host:\r\n")),
        ("two Hosts", 400, get("host: a\r\nhost: a\r\n")),
        ("two Hosts in one line", 400, get("host: a, b\r\n")),
        ("absolute URI against Host", 400, b"GET http://b/g HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("credentials in the URI", 400, b"GET http://a@b/g HTTP/1.1\r\nhost: b\r\n\r\n".to_vec()),
        ("space in the path", 400, b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("tab as a blank", 400, b"GET\t/g\tHTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("lower-case method", 400, b"get /g HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("the stand-in's own method", 400, b"! /3 HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/0.9", 400, b"GET /g\r\n\r\n".to_vec()),
        ("empty line first", 400, b"\r\nGET /g HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("CONNECT", 405, b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n".to_vec()),
        ("TRACE", 405, b"TRACE /g HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/2.0", 505, b"GET /g HTTP/2.0\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/1.9", 505, b"GET /g HTTP/1.9\r\nhost: a\r\n\r\n".to_vec()),
        ("the HTTP/2 preface", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("another expectation", 417, post("expect: a-miracle\r\ncontent-length: 3\r\n", "abc")),
        ("64 KiB header", 431, get(&format!("host: a\r\nx: {long}\r\n"))),
        ("64 KiB target", 431, format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()),
        ("200 header lines", 431, get(&format!("host: a\r\n{many}"))),
        ("body over the limit", 413, post("content-length: 99999999999\r\n", "abc")),
    ]
}

fn assert_problem(name: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{name}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
    assert!(answer.text().contains("\"trace_id\":\""), "{name}");
    assert!(answer.header("traceparent").is_some() && answer.header("x-request-id").is_some(), "{name}");
}

#[tokio::test]
async fn every_refused_vector_gets_its_status_and_reaches_nobody() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    for (name, status, bytes) in refused() {
        let answer = fleet.raw(&bytes).await.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_problem(name, &answer, status);
        assert_eq!(node.begun(), 0, "{name} reached the node");
    }
    assert_eq!(fleet.get("/").await.status, 200, "and a good request does");
    let endpoint = &fleet.balancer.endpoints()[0];
    assert_eq!(endpoint.health, onefold_balancer::Health::Ready, "no refusal is the endpoint's fault");
}

#[tokio::test]
async fn a_refused_vector_is_refused_however_its_bytes_arrive() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let heads = refused().into_iter().filter(|(_, status, bytes)| bytes.len() < 200 && *status != 413);
    for (name, status, bytes) in heads {
        let mut client = fleet.client().await;
        for byte in bytes.chunks(1) {
            if !client.write_if_open(byte).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        let answer = client.answer().await.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_problem(name, &answer, status);
        // A head that was fine may have been passed on before its body turned bad; never the whole request.
        assert_eq!(node.count(), 0, "{name} reached the node");
    }
}

#[tokio::test]
async fn a_bad_request_behind_a_good_one_is_answered_in_turn_and_ends_the_connection() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let mut client = fleet.client().await;
    client.write(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\nhost: a\n\nGET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let refused = client.answer().await.unwrap();
    assert_problem("the second", &refused, 400);
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(client.is_closed().await);
    assert_eq!(node.seen().iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/1"]);
}

#[tokio::test]
async fn a_body_that_turns_bad_is_the_clients_fault_and_never_whole_at_the_node() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    for _ in 0..8 {
        let mut client = fleet.client().await;
        client.write(&post("transfer-encoding: chunked\r\n", "3\r\nabc\r\n")).await;
        let begun = node.begun();
        crate::fleet::eventually("the head to arrive", || node.begun() >= begun.max(1)).await;
        client.write(b"3\nabc\r\n0\r\n\r\n").await;
        let answer = client.answer().await.unwrap();
        assert_problem("bad chunk", &answer, 400);
    }
    assert_eq!(node.count(), 0);
    let endpoint = &fleet.balancer.endpoints()[0];
    assert_eq!(endpoint.health, onefold_balancer::Health::Ready, "eight bad bodies eject nobody");
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}

#[tokio::test]
async fn what_is_legal_passes() {
    let node = Node::start("app-a", "a", |seen| async move {
        crate::node::ok(&format!("{} {} {}", seen.method, seen.target, seen.body.len()))
    })
    .await;
    let fleet = Fleet::start(quick(), &[&node]);
    let large = "z".repeat(200_000);
    let cases = [
        ("GET /a?b=c&d=%20 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "GET /a?b=c&d=%20 0"),
        ("GET http://A:80/a?b HTTP/1.1\r\nhost: a:80\r\n\r\n".to_owned(), "GET /a?b 0"),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "OPTIONS * 0"),
        ("POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".to_owned(), "POST /p 0"),
        ("POST /p HTTP/1.1\r\nhost:a\r\nCONTENT-LENGTH:\t3 \r\n\r\nabc".to_owned(), "POST /p 3"),
        (
            "POST /p HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: 1\r\n\r\n"
                .to_owned(),
            "POST /p 13",
        ),
        (format!("PUT /p HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n{large}"), "PUT /p 200000"),
        (
            "GET /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
            "GET /p 3",
        ),
        (
            "POST /p HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc".to_owned(),
            "POST /p 3",
        ),
    ];
    // All on one connection: each message ends where the next begins.
    let mut client = fleet.client().await;
    for (request, expected) in cases {
        client.write(request.as_bytes()).await;
        let mut answer = client.answer().await.unwrap();
        if answer.status == 100 {
            answer = client.answer().await.unwrap();
        }
        assert_eq!((answer.status, answer.text()), (200, expected));
    }
    client.write(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    for expected in ["GET /1 0", "POST /2 2", "GET /3 0"] {
        assert_eq!(client.answer().await.unwrap().text(), expected, "pipelined");
    }
}

#[tokio::test]
async fn an_upgrade_is_not_passed_on_and_a_pipelined_request_is_served_by_itself() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    let mut client = fleet.client().await;
    client
        .write(b"GET /1 HTTP/1.1\r\nhost: a\r\nconnection: upgrade, x-secret\r\nupgrade: h2c\r\nhttp2-settings: x\r\nx-secret: 1\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.answer().await.unwrap().status, 200);
    let seen = node.seen();
    assert_eq!(seen.len(), 2);
    for name in ["upgrade", "connection", "x-secret", "http2-settings"] {
        assert!(!seen[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn an_old_client_gets_what_it_understands() {
    let node = Node::start("app-a", "a", |_| async {
        Some(crate::node::streamed(futures_util::stream::iter(["in ", "pieces"])))
    })
    .await;
    let fleet = Fleet::start(quick(), &[&node]);
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nin pieces") && !answer.contains("chunked"), "{answer}");
}
