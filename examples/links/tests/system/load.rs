//! Clients that follow a link again and again, and bear no failed request.

use crate::client::Client;
use onefold::testing::eventually;
use reqwest::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<()>,
}

impl Load {
    /// So many clients at once.
    pub(crate) fn start(client: &Client, code: &str, clients: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let path = format!("/{code}");
        let mut set = JoinSet::new();
        for _ in 0..clients {
            let (mut client, path) = (client.clone(), path.clone());
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            set.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get(&path).await.status(), StatusCode::FOUND);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { stop, answered, clients: set }
    }

    /// Returns after so many answers more.
    pub(crate) async fn more(&self, count: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        eventually(Duration::from_secs(30), "requests go on", async || {
            self.answered.load(Ordering::Relaxed) >= goal
        })
        .await;
    }

    /// Ends it, and fails where any request has failed. Answers how many have been answered.
    pub(crate) async fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no request failed");
        }
        self.answered.load(Ordering::Relaxed)
    }
}
