//! Who is let in: each refusal and each acceptance, through the whole router.
#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

mod changes;
mod doors;
mod login;
mod page;
mod streams;
mod tls;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use onefold_console::{Access, Actor, Audit, Config, Console, Read, Tokens};
use onefold_core::Clock;
use serde_json::Value;
use std::path::Path;
use std::time::SystemTime;
use tower::ServiceExt as _;

const HOST: &str = "localhost:8500";

/// A console with a small API behind it.
struct Fixture {
    router: Router,
    config: Config,
    tokens: Tokens,
    clock: Clock,
    directory: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Fixture {
    fn new(read: Read) -> Self {
        Self::with(Config { read, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        config.validate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&directory.path().join("tokens")).unwrap();
        let clock = Clock::manual();
        let audit = Audit::open(Some(&directory.path().join("audit.jsonl")), clock.clone()).unwrap();
        let router = Self::router(&config, &tokens, audit, &clock, directory.path());
        Self { router, config, tokens, clock, directory }
    }

    /// Starts the console anew over the same files.
    fn restart(&mut self) {
        let audit = Audit::open(None, self.clock.clone()).unwrap();
        self.router = Self::router(&self.config, &self.tokens, audit, &self.clock, self.directory.path());
    }

    fn router(config: &Config, tokens: &Tokens, audit: Audit, clock: &Clock, directory: &Path) -> Router {
        let reads = Router::new()
            .route("/api/flags/{key}", get(|| async { "\"read\"" }))
            .route("/api/v1/query", post(|| async { "\"queried\"" }))
            .route("/api/events", get(streams::endless));
        let changes = Router::new().route(
            "/api/flags/{key}",
            axum::routing::put(|Extension(actor): Extension<Actor>| async move {
                format!("\"{} may {}\"", actor.name, actor.access)
            }),
        );
        Console::new(config.clone(), tokens.clone(), audit, clock.clone())
            .system("links")
            .spent_tickets(&directory.join("tickets"))
            .unwrap()
            .router(reads, changes)
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let body =
            serde_json::from_slice(&bytes).unwrap_or(Value::String(String::from_utf8_lossy(&bytes).into()));
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    async fn put(&self, headers: &[(&str, &str)]) -> Answer {
        self.send("PUT", "/api/flags/preview", headers, "{\"password\":\"hunter2\"}").await
    }

    async fn log_in(&self, token: &str) -> Answer {
        let body = serde_json::json!({ "token": token, "name": "Ada" }).to_string();
        self.send("POST", "/api/session", &[("content-type", "application/json")], &body).await
    }

    /// Logs in with the token of this access: the cookie and the CSRF value.
    async fn session(&self, access: Access) -> (String, String) {
        let answer = self.log_in(self.tokens.get(access).expose()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.cookie(), answer.body["csrf"].as_str().unwrap().to_owned())
    }

    fn ticket(&self, access: Access, at: SystemTime) -> String {
        self.tokens.ticket(access, at).unwrap().expose().to_owned()
    }

    fn audited(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Answer {
    /// `name=value`, as the browser would send it back.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn bearer(fixture: &Fixture, access: Access) -> String {
    format!("Bearer {}", fixture.tokens.get(access).expose())
}
