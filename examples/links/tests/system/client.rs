//! A client of the links API: keeps its session, follows no redirect.

use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use std::time::Duration;

const SESSION: &str = "onefold-session";

/// One client, with the token that it was last given.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    session: Option<String>,
}

impl Client {
    pub(crate) fn of(system: &onefold::testing::TestSystem) -> Self {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Self { http, base: system.url(""), session: None }
    }

    /// A request without the session.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request with the session, which takes over the token that comes back.
    pub(crate) async fn send(&mut self, mut request: RequestBuilder) -> Response {
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
        }
        let response = request.send().await.expect("an answer");
        if let Some(token) = response.headers().get(SESSION) {
            self.session = Some(token.to_str().expect("text").to_owned());
        }
        response
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// The same at a node's own address.
    pub(crate) async fn at(&mut self, url: &str) -> Response {
        let request = self.http.get(url);
        self.send(request).await
    }

    pub(crate) async fn create(&mut self, url: &str) -> String {
        let request = self.request(Method::POST, "/links").json(&json!({ "url": url }));
        let response = self.send(request).await;
        let (status, link): (_, Value) = (response.status(), response.json().await.expect("JSON"));
        assert_eq!(status, StatusCode::CREATED, "{link}");
        link["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) async fn retarget(&mut self, code: &str, url: &str) {
        let request = self.request(Method::PATCH, &format!("/links/{code}")).json(&json!({ "url": url }));
        assert_eq!(self.send(request).await.status(), StatusCode::OK);
    }

    /// Where the code leads.
    pub(crate) async fn follow(&mut self, code: &str) -> String {
        let response = self.get(&format!("/{code}")).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        header(&response, "location")
    }
}

/// A response header as text.
pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).unwrap_or_else(|| panic!("no header {name}"));
    value.to_str().expect("text").to_owned()
}
