//! One client of the links API: it does one thing at a time, and takes down what came of it.

use crate::Tokens;
use onefold::testing::TestSystem;
use onefold_lab::{Action, Level, Outcome, Recorder, Version};
use reqwest::{Method, RequestBuilder, StatusCode, header::LOCATION, redirect};
use serde_json::{Value, json};
use std::time::Duration;

const SESSION: &str = "onefold-session";
/// How long a client asks again, under one idempotency key, before it takes an outcome for unknown.
const TRIES_MAX: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Client {
    number: u32,
    http: reqwest::Client,
    base: String,
    recorder: Recorder,
    session: Option<String>,
    tokens: Tokens,
    requests: u64,
}

/// Where a read looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Through {
    /// `GET /{code}`: cache, replica, primary.
    Cache,
    /// `GET /links/{code}`: a replica, or the primary.
    Database,
}

impl Client {
    pub(crate) fn new(number: u32, system: &TestSystem, recorder: Recorder, tokens: Tokens) -> Self {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        Self { number, http, base: system.url(""), recorder, session: None, tokens, requests: 0 }
    }

    /// `POST /links`: the key begins with its first version. Its host is the client's own.
    pub(crate) async fn create(&mut self, key: &str) -> Outcome {
        let body = json!({ "code": key, "url": self.url(key, Version(1)) });
        self.write(key, Version(1), Method::POST, "/links", body).await
    }

    /// `PATCH /links/{key}`: the key's next version.
    pub(crate) async fn update(&mut self, key: &str, version: Version) -> Outcome {
        let body = json!({ "url": self.url(key, version) });
        self.write(key, version, Method::PATCH, &format!("/links/{key}"), body).await
    }

    /// Asks until it is acknowledged: one effect, however often it was asked for.
    async fn write(
        &mut self,
        key: &str,
        version: Version,
        method: Method,
        path: &str,
        body: Value,
    ) -> Outcome {
        self.requests += 1;
        let once = format!("{}-{}", self.number, self.requests);
        let call = self.recorder.call(self.number, key, Action::Write(version));
        let mut outcome = Outcome::Unknown;
        for _ in 0..TRIES_MAX {
            let request = self.request(method.clone(), path).json(&body).header("idempotency-key", &once);
            match self.send(request).await {
                Some(response) if response.status().is_success() => {
                    outcome = Outcome::Written;
                    break;
                }
                Some(response) if is_refused(response.status()) => {
                    panic!("{method} {path}: {} {:?}", response.status(), response.text().await)
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        call.ended(outcome);
        outcome
    }

    /// What the key holds.
    pub(crate) async fn read(&mut self, key: &str, level: Level, through: Through) -> Outcome {
        let path = match through {
            Through::Cache => format!("/{key}"),
            Through::Database => format!("/links/{key}"),
        };
        let mut request = self.request(Method::GET, &path);
        if level == Level::Strong {
            request = request.header("onefold-consistency", "strong");
        }
        let call = self.recorder.call(self.number, key, Action::Read(level));
        let clock = onefold_core::Clock::system();
        let asked = clock.now();
        let seen = match self.send(request).await {
            Some(response) => version(response).await,
            None => Err("nobody answered".to_owned()),
        };
        let outcome = seen.as_ref().map_or(Outcome::Failed, |version| Outcome::Saw(*version));
        call.ended(outcome);
        if let Err(why) = seen {
            let took = clock.now().saturating_duration_since(asked).as_millis();
            eprintln!(
                "client {}: a {level:?} read through the {through:?} failed after {took} ms: {why}",
                self.number
            );
            tokio::time::sleep(PAUSE).await;
        }
        outcome
    }

    /// Links that were created with this client's host, as `GET /links/{key}/stats` counts them.
    pub(crate) async fn created(&mut self, key: &str) -> Option<u64> {
        let request = self.request(Method::GET, &format!("/links/{key}/stats"));
        let stats: Value = self.send(request).await?.json().await.ok()?;
        stats["host_links"].as_u64()
    }

    fn url(&self, key: &str, version: Version) -> String {
        format!("https://client-{}.example/{key}/{}", self.number, version.0)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("onefold-timeout", "3s")
    }

    /// None where nobody answered.
    async fn send(&mut self, mut request: RequestBuilder) -> Option<reqwest::Response> {
        if let (Some(session), Tokens::Sent) = (&self.session, self.tokens) {
            request = request.header(SESSION, session);
        }
        let response = request.send().await.ok()?;
        if let Some(token) = response.headers().get(SESSION) {
            self.session = Some(token.to_str().unwrap().to_owned());
        }
        Some(response)
    }
}

/// Whether asking again would answer the same. 409 is a twin still under way.
fn is_refused(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::CONFLICT && status != StatusCode::TOO_MANY_REQUESTS
}

/// The version that an answer shows, or what it says instead.
async fn version(response: reqwest::Response) -> Result<Version, String> {
    let status = response.status();
    let url = match status {
        StatusCode::NOT_FOUND => return Ok(Version::NONE),
        StatusCode::FOUND => response.headers()[LOCATION].to_str().unwrap().to_owned(),
        StatusCode::OK => {
            let link: Value = response.json().await.map_err(|error| error.to_string())?;
            link["url"].as_str().ok_or("no URL")?.to_owned()
        }
        _ => return Err(format!("{status} {}", response.text().await.unwrap_or_default())),
    };
    let version = url.rsplit('/').next().and_then(|text| text.parse().ok());
    Ok(Version(version.unwrap_or_else(|| panic!("no version in {url}"))))
}
