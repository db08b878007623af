//! One node of a system, for tests.

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestCluster;
use onefold_database::{Config, Database, Db, Session};
use std::time::Duration;

/// A node with its own connections.
pub(crate) struct Node {
    pub(crate) database: Database,
    /// Ends the node's background tasks when dropped.
    pub(crate) tasks: TaskGroup,
}

impl Node {
    /// A node that is given this URL, on a migrated database.
    pub(crate) async fn start(url: &str) -> Self {
        let node = Self::connect(&Config { url: Some(Secret::new(url)), ..Config::default() }).await;
        node.database.migrate(&[]).await.unwrap();
        node
    }

    /// A node of this cluster, migrated, that has heard from every server.
    pub(crate) async fn of(cluster: &TestCluster) -> Self {
        let node = Self::connect(&cluster.config()).await;
        node.database.migrate(&[]).await.unwrap();
        let known = || node.database.servers().iter().all(|server| server.lag.is_some());
        until("all servers have answered", async || known()).await;
        node
    }

    pub(crate) async fn connect(config: &Config) -> Self {
        let tasks = TaskGroup::new();
        let (name, zone) = ("app-a".parse().unwrap(), "a".parse().unwrap());
        let metrics = Metrics::new();
        let database = Database::connect(config, &name, &zone, &tasks, &metrics, Clock::system()).await;
        Self { database: database.unwrap(), tasks }
    }

    /// A handle with a session of its own.
    pub(crate) fn db(&self) -> Db {
        self.database.db(Session::new())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

/// Waits until `met` says so.
pub(crate) async fn until(what: &str, met: impl AsyncFn() -> bool) {
    let waiting = async {
        while !met().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(),
        "waited in vain until {what}"
    );
}
