use super::*;
use crate::tls_testing::Authority;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use std::convert::Infallible;
use tokio::net::TcpListener;

#[test]
fn an_address_is_http_or_https_and_never_printed() {
    let webhook = Webhook::new("http://127.0.0.1:9093/hook?token=hunter2").unwrap();
    assert!(!format!("{webhook:?}").contains("hunter2"));
    for wrong in ["https://", "example.com", "http://", "ftp://x", "http://a:hunter2@b/"] {
        let refused = Webhook::new(wrong).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let read: Webhook = serde_json::from_str("\"http://host/x\"").unwrap();
    assert_eq!(read, Webhook::new("http://host/x").unwrap());
    assert!(serde_json::from_str::<Webhook>("\"host/x\"").is_err());
    assert!(Webhook::new("https://host/x").unwrap().is_tls() && !read.is_tls());
}

/// Takes one connection through TLS, shown as `localhost`, and answers what it was sent.
async fn take(listener: TcpListener, authority: &Authority) -> Option<(String, Bytes)> {
    let (stream, _) = listener.accept().await.unwrap();
    let stream = authority.acceptor("localhost", b"http/1.1").accept(stream).await.ok()?;
    let got = std::sync::Mutex::new(None);
    let service = service_fn(async |request: Request<hyper::body::Incoming>| {
        let path = request.uri().to_string();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        *got.lock().unwrap() = Some((path, body));
        Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
    got.into_inner().unwrap()
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_receiver_that_proves_its_name_is_told() {
    let authority = Authority::new();
    let (listener, port) = listen().await;
    let webhook = Webhook::new(&format!("https://localhost:{port}/hook?key=1")).unwrap();
    let receiver = webhook.receiver(Some(&authority.file())).unwrap();
    let (told, sent) = tokio::join!(take(listener, &authority), receiver.post(b"{}".to_vec()));
    assert_eq!(sent, Ok(()));
    assert_eq!(told, Some(("/hook?key=1".to_owned(), Bytes::from_static(b"{}"))));
}

#[tokio::test]
async fn nobody_else_is_told_and_the_reason_names_the_address_and_the_fix() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (host, issuer, fix) in [
        ("localhost", &theirs, "in observer.webhook_ca"),
        ("127.0.0.1", &ours, "write a name that the certificate holds"),
    ] {
        let (listener, port) = listen().await;
        let webhook = Webhook::new(&format!("https://{host}:{port}/hook?key=hunter2")).unwrap();
        let receiver = webhook.receiver(Some(&ours.file())).unwrap();
        let (told, sent) = tokio::join!(take(listener, issuer), receiver.post(b"{}".to_vec()));
        let why = sent.unwrap_err();
        assert_eq!(told, None);
        assert!(
            why.starts_with(&format!("https://{host}:{port} shows a certificate that is not trusted")),
            "{why}"
        );
        assert!(why.contains(fix) && !why.contains("hunter2"), "{why}");
    }
}

#[test]
fn a_file_that_holds_no_authority_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty.pem");
    std::fs::write(&path, "").unwrap();
    for path in [path, directory.path().join("missing.pem")] {
        let webhook = Webhook::new("https://localhost/").unwrap();
        let fault = webhook.receiver(Some(&path)).unwrap_err().to_string();
        assert!(
            fault.starts_with(&format!("observer.webhook_ca: {} cannot be used", path.display())),
            "{fault}"
        );
    }
}
