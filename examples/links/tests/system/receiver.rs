//! Who is told of alerts: takes what is posted, and hands it out by the alert's name.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use onefold::testing::eventually;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

type Messages = Arc<Mutex<Vec<Value>>>;

/// Listens until dropped.
pub(crate) struct Receiver {
    port: u16,
    messages: Messages,
    /// Ends with it.
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let messages = Messages::default();
        let take = async |State(messages): State<Messages>, Json(message): Json<Value>| {
            messages.lock().unwrap().push(message);
        };
        let router = Router::new().route("/alerts", post(take)).with_state(Arc::clone(&messages));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, messages, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/alerts", self.port)
    }

    /// Whether a message of this alert has come that nobody has taken.
    pub(crate) fn has(&self, alert: &str) -> bool {
        self.messages.lock().unwrap().iter().any(|message| message["groupLabels"]["alertname"] == alert)
    }

    /// The first message of this alert that nobody has taken.
    pub(crate) async fn next(&self, alert: &str) -> Value {
        let mut next = None;
        eventually(Duration::from_secs(10), &format!("the receiver hears of {alert}"), async || {
            let mut messages = self.messages.lock().unwrap();
            let at = messages.iter().position(|message| message["groupLabels"]["alertname"] == alert);
            next = at.map(|at| messages.remove(at));
            next.is_some()
        })
        .await;
        next.unwrap()
    }
}
