//! The console behind TLS, as a browser and the commands meet it.

use crate::BINARY;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use onefold::testing::{Phase, TestSystem, eventually};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate for `localhost` that signs itself, with its key.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.issue();
        files
    }

    /// Puts new ones in the place of the old, and answers a browser that trusts those alone.
    fn issue(&self) -> TlsConnector {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
        std::fs::write(self.path("certificate.pem"), cert.pem()).unwrap();
        self.browser()
    }

    fn browser(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("certificate.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn topology(&self) -> String {
        let directory = self.0.path().display();
        format!(
            "[console]
            read = 'token'
            tls = {{ certificate = '{directory}/certificate.pem', key = '{directory}/key.pem' }}"
        )
    }
}

/// One tab of a browser that trusts what it was told to.
struct Tab {
    browser: TlsConnector,
    /// `localhost:PORT`.
    authority: String,
    cookie: String,
    csrf: String,
}

impl Tab {
    fn new(browser: TlsConnector, link: &str) -> Self {
        let (authority, _) = link.strip_prefix("https://").unwrap().split_once('/').unwrap();
        Self { browser, authority: authority.to_owned(), cookie: String::new(), csrf: String::new() }
    }

    /// Status, the cookie that is set, and the body; none where the console does not answer or is not trusted.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Option<(StatusCode, String, Value)> {
        let stream = TcpStream::connect(&self.authority).await.ok()?;
        let name = ServerName::try_from("localhost").unwrap();
        let inside = self.browser.connect(name, stream).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(inside)).await.ok()?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("origin", format!("https://{}", self.authority))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json")
            .header("cookie", &self.cookie)
            .header("onefold-csrf", &self.csrf)
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = async {
            let (head, body) = sender.send_request(request).await.ok()?.into_parts();
            let body = serde_json::from_slice(&body.collect().await.ok()?.to_bytes()).unwrap_or_default();
            let cookie = head.headers.get("set-cookie").map_or("", |value| value.to_str().unwrap());
            Some((head.status, cookie.to_owned(), body))
        };
        tokio::select! {
            answer = answer => answer,
            _ = connection => None,
        }
    }

    async fn get(&self, path: &str) -> StatusCode {
        self.ask(Method::GET, path, &Value::Null).await.expect("an answer").0
    }

    /// Logs in by the ticket of this link; answers the status.
    async fn log_in(&mut self, link: &str) -> StatusCode {
        let ticket = link.split_once("#token=").expect("a link with a ticket").1;
        let login = json!({ "token": ticket, "name": "Ada" });
        let (status, cookie, body) = self.ask(Method::POST, "/api/session", &login).await.expect("an answer");
        if status == StatusCode::OK {
            assert!(cookie.ends_with("; Secure"), "{cookie}");
            cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
            body["csrf"].as_str().unwrap().clone_into(&mut self.csrf);
        }
        status
    }
}

#[tokio::test]
async fn the_console_behind_tls_serves_browsers_and_commands_over_restarts_and_renewals() {
    let files = Files::new();
    let system = TestSystem::start_with(BINARY, &files.topology()).await;
    assert!(system.output().contains("https://localhost:"), "{}", system.output());
    let link = system.run(&["console"]).trim().to_owned();
    let mut tab = Tab::new(files.browser(), &link);
    assert_eq!(tab.get("/api/topology").await, StatusCode::UNAUTHORIZED);
    assert_eq!(tab.log_in(&link).await, StatusCode::OK);
    assert_eq!(tab.get("/api/topology").await, StatusCode::OK);
    let silence = json!({ "matchers": { "alertname": "Any" }, "for_s": 60, "reason": "a trial" });
    let (status, _, done) = tab.ask(Method::POST, "/api/alerts/silences", &silence).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{done}");
    assert!(system.run(&["alerts", "list"]).contains("inactive"));

    system.kill("observer-1");
    eventually(Duration::from_secs(20), "the observer is back", async || {
        let observer = system.node("observer-1");
        observer.restarts == 1 && observer.state == Phase::Ready
    })
    .await;
    assert_eq!(tab.log_in(&link).await, StatusCode::UNAUTHORIZED, "the link was used before");

    let renewed = files.issue();
    let mut later = Tab::new(renewed, &link);
    eventually(Duration::from_secs(10), "the renewed certificate is shown", async || {
        later.ask(Method::GET, "/api/session", &Value::Null).await.is_some()
    })
    .await;
    assert!(tab.ask(Method::GET, "/api/session", &Value::Null).await.is_none(), "the old one is gone");
    assert!(system.run(&["alerts", "list"]).contains("inactive"));
    assert_eq!(later.log_in(system.run(&["console"]).trim()).await, StatusCode::OK);
}
