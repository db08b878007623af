//! The page is served without a session: it holds nothing but the way to ask for one.

use crate::{Answer, Fixture, HOST};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use flate2::read::GzDecoder;
use onefold_console::Read;
use std::io::Read as _;
use tower::ServiceExt as _;

#[tokio::test]
async fn the_page_and_its_files_are_there_and_kept_by_fingerprint() {
    let fixture = Fixture::new(Read::Token);
    let page = fixture.get("/", &[]).await;
    assert_eq!(page.status, 200);
    let text = page.body.as_str().unwrap().to_owned();
    let paths: Vec<&str> = text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(paths.len() > 3, "{text}");
    for path in &paths {
        let file = fixture.get(path, &[]).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").contains("immutable"), "{path}");
    }
    let tag = page.header("etag").to_owned();
    assert_eq!(fixture.get("/", &[("if-none-match", &tag)]).await.status, 304);
    let elsewhere = paths[0].replacen("/assets/", "/assets/0", 1);
    assert_eq!(fixture.get(&elsewhere, &[]).await.status, 410);
}

#[tokio::test]
async fn deep_links_lead_to_the_page_and_other_paths_to_nothing() {
    let fixture = Fixture::new(Read::Open);
    for path in ["/traces", "/traces/0af7651916cd43dd8448eb211c80319c", "/logs?q=a", "/metrics", "/flags"] {
        assert_eq!(fixture.get(path, &[]).await.header("content-type"), "text/html; charset=utf-8", "{path}");
    }
    for path in ["/nothing", "/api/nothing", "/assets/x/../index.html", "/index.html"] {
        assert!(fixture.get(path, &[]).await.status.as_u16() >= 404, "{path}");
    }
}

/// What is sent to a browser that takes gzip: the answer's headers, what travels, and what it holds.
async fn packed(fixture: &Fixture, path: &str) -> (Answer, usize) {
    let request = Request::get(path).header("host", HOST).header("accept-encoding", "gzip, deflate, br");
    let response = fixture.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let mut text = String::new();
    if head.headers.contains_key("content-encoding") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    (Answer { status: head.status, headers: head.headers, body: text.into() }, bytes.len())
}

#[tokio::test]
async fn the_page_travels_compressed_to_who_takes_it_with_the_same_headers() {
    let fixture = Fixture::new(Read::Open);
    let page = fixture.get("/", &[]).await;
    let text = page.body.as_str().unwrap();
    let paths = text.split('"').filter(|part| part.starts_with("/assets/"));
    let (mut plain_bytes, mut packed_bytes) = (0, 0);
    for path in paths.chain(["/"]) {
        let plain = fixture.get(path, &[]).await;
        let (packed, bytes) = packed(&fixture, path).await;
        assert_eq!((packed.status.as_u16(), &packed.body), (200, &plain.body), "{path}");
        for name in ["content-type", "cache-control", "content-security-policy", "vary"] {
            assert_eq!(packed.header(name), plain.header(name), "{path}: {name}");
        }
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "accept-encoding"),
            "{path}"
        );
        plain_bytes += plain.body.as_str().unwrap().len();
        packed_bytes += bytes;
    }
    assert!(packed_bytes * 2 < plain_bytes, "{packed_bytes} of {plain_bytes}");

    let (first, _) = packed(&fixture, "/").await;
    assert_ne!(first.header("etag"), page.header("etag"), "other bytes, another tag");
    let known = [("accept-encoding", "gzip"), ("if-none-match", first.header("etag"))];
    let again = fixture.get("/", &known).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, first.header("etag")));
    let other = [("if-none-match", first.header("etag"))];
    assert_eq!(fixture.get("/", &other).await.status, 200, "its copy is of the other coding");
}
