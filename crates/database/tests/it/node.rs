//! One node of a system, for tests.

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestCluster;
use onefold_database::{Config, Database, Db, Error, Session};
use std::time::Duration;

/// A node with its own connections, in one zone.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) database: Database,
    metrics: Metrics,
    /// Ends the node's background tasks when dropped.
    tasks: TaskGroup,
}

impl Node {
    /// A node that is given this URL, on a migrated database.
    pub(crate) async fn start(url: &str) -> Self {
        let node = Self::connect(&Config { url: Some(Secret::new(url)), ..config() }, "a").await;
        node.database.migrate(&[]).await.unwrap();
        node
    }

    /// A node of this cluster, on a migrated database, that has heard from every server.
    pub(crate) async fn of(cluster: &TestCluster, zone: &str) -> Self {
        let config = Config { servers: cluster.config().servers, ..config() };
        let node = Self::connect(&config, zone).await;
        node.database.migrate(&[]).await.unwrap();
        let known = || node.database.servers().iter().all(|server| server.lag.is_some());
        until("all servers have answered", async || known()).await;
        node
    }

    pub(crate) async fn connect(config: &Config, zone: &str) -> Self {
        Self::attempt(config, zone).await.unwrap()
    }

    /// The same where it may be refused.
    pub(crate) async fn attempt(config: &Config, zone: &str) -> Result<Self, Error> {
        let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
        let (name, zone) = ("app-a".parse().unwrap(), zone.parse().unwrap());
        let connecting = Database::connect(config, &name, &zone, &tasks, &metrics, Clock::system());
        match connecting.await {
            Ok(database) => Ok(Self { database, metrics, tasks }),
            Err(error) => {
                tasks.stopping().cancel();
                Err(error)
            }
        }
    }

    /// A handle with a session of its own.
    pub(crate) fn db(&self) -> Db {
        self.database.db(Session::new())
    }

    /// A handle of the next request of a session.
    pub(crate) fn next_request(&self, db: &Db) -> Db {
        let keys = self.database.keys().unwrap();
        let token = db.session().token().map(|token| keys.sign(&token));
        self.database.db(Session::resume(token.as_deref(), keys))
    }

    /// What a gauge shows, as `name{labels}`.
    pub(crate) fn gauge(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(f64::NAN)
    }

    /// What a counter stands at, as `name{labels}`.
    pub(crate) fn counted(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

/// The defaults, with the patience that a busy machine needs.
pub(crate) fn config() -> Config {
    let patient = Duration::from_mins(1);
    Config { connect_timeout: patient, replica_lag_max: patient * 10, ..Config::default() }
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
