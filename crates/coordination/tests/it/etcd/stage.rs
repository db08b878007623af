//! etcd and a database for fences, and engines that use them.

use super::servers::Servers;
use crate::support::{PATIENCE, connect, node};
use futures_util::future::BoxFuture;
use onefold_coordination::conformance::Harness;
use onefold_coordination::etcd::Etcd;
use onefold_coordination::store::Store;
use onefold_coordination::{Config, MIGRATIONS};
use onefold_core::{Clock, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Database, Session, Tx};
use std::sync::Arc;
use std::time::Duration;

/// Servers of both.
pub(crate) struct Stage {
    pub(crate) etcd: Servers,
    _postgres: TestPostgres,
    pub(crate) database: Database,
}

impl Stage {
    /// Once etcd answers.
    pub(crate) async fn new(etcd: Servers) -> Self {
        let config = etcd.config();
        Self::new_with(etcd, &config).await
    }

    /// Once etcd answers who is configured so.
    pub(crate) async fn new_with(etcd: Servers, config: &Config) -> Self {
        let postgres = TestPostgres::start().await;
        let database = connect(&postgres.url(), &node("stage")).await;
        database.migrate(&[MIGRATIONS]).await.unwrap();
        let stage = Self { etcd, _postgres: postgres, database };
        let store = stage.store(config);
        in_the_end("etcd answers", async || store.list("").await.ok()).await;
        stage
    }

    /// An engine of a node of its own.
    pub(crate) fn store(&self, config: &Config) -> Arc<Etcd> {
        let store = Etcd::new(config, self.database.clone(), TaskGroup::new(), Clock::system());
        Arc::new(store.map_err(|fault| fault.to_string()).unwrap())
    }

    /// A case's own keys.
    pub(crate) fn case(&self, prefix: &str) -> Case {
        let config = Config { prefix: prefix.to_owned(), timeout: PATIENCE, ..self.etcd.config() };
        Case { store: self.store(&config), database: self.database.clone() }
    }
}

/// One case of the suite, beside others on the same servers.
pub(crate) struct Case {
    store: Arc<Etcd>,
    database: Database,
}

impl Harness for Case {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn begin(&self) -> BoxFuture<'_, Tx> {
        Box::pin(async { self.database.db(Session::new()).begin().await.unwrap() })
    }
}

/// Asks until there is an answer.
pub(crate) async fn in_the_end<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
