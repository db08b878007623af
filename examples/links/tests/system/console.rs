//! A client of the console's API: logs in by the link that the command line prints.

use onefold::testing::{TestSystem, eventually};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// One session of somebody who may operate.
pub(crate) struct Console {
    http: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Console {
    /// Logs in by a fresh link.
    pub(crate) async fn of(system: &TestSystem) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let link = system.run(&["console"]);
        let ticket = link.trim().split_once("#token=").expect("a link with a ticket").1;
        let base = system.console("");
        let login = http.post(format!("{base}/api/session")).json(&json!({ "token": ticket, "name": "Ada" }));
        let response = login.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let session: Value = response.json().await.unwrap();
        let csrf = session["csrf"].as_str().expect("a session").to_owned();
        Self { http, base, cookie, csrf }
    }

    /// A request without any credential.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// What is there to read, once the tiers behind it answer: a busy machine may take longer than they wait.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let mut answer = None;
        eventually(Duration::from_secs(20), &format!("{path} is answered"), async || {
            let response = self.bare(Method::GET, path).send().await.expect("an answer");
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                return false;
            }
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            answer = Some(response.json().await.expect("JSON"));
            true
        })
        .await;
        answer.expect("an answer")
    }

    /// A change in this session.
    pub(crate) async fn change(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request =
            self.bare(method, path).header("cookie", &self.cookie).header("onefold-csrf", &self.csrf);
        let response = request.json(&body).send().await.expect("an answer");
        (response.status(), response.json().await.expect("JSON"))
    }

    /// The same in a session whose page is not ours: the cookie alone.
    pub(crate) fn forged(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("cookie", &self.cookie)
    }
}

/// A node of the picture.
pub(crate) fn node<'a>(topology: &'a Value, name: &str) -> &'a Value {
    let nodes = topology["nodes"].as_array().expect("nodes");
    nodes.iter().find(|node| node["name"] == name).unwrap_or_else(|| panic!("no {name} in {topology}"))
}
