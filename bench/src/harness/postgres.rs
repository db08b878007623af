//! The Postgres of one benchmark, pinned to the server's core.

use crate::harness::cpu::tree;
use crate::harness::process::{SERVER_CORE, pin};
use anyhow::{Context as _, Result};
use onefold_database::testing::{TestCluster, TestPostgres};

/// A primary and its replicas under the settings of `up`, but without fsync: that takes the disk out of a comparison
/// of clients, and is the same for all peers.
#[derive(Debug)]
pub(crate) struct PinnedCluster(TestCluster);

impl PinnedCluster {
    /// Starts one. Backends are forked from the pinned postmasters, and so run on their core.
    pub(crate) async fn start(replicas: usize) -> Result<Self> {
        let cluster = TestCluster::start(replicas).await;
        for index in 0..=replicas {
            pin(SERVER_CORE, &tree(cluster.server(index).pid()))?;
        }
        Ok(Self(cluster))
    }

    pub(crate) fn primary(&self) -> &TestPostgres {
        self.0.server(0)
    }

    pub(crate) fn replica(&self) -> &TestPostgres {
        self.0.server(1)
    }

    pub(crate) async fn version(&self) -> Result<String> {
        version(self.primary()).await
    }
}

/// One server without durability.
#[derive(Debug)]
pub(crate) struct PinnedPostgres(TestPostgres);

impl PinnedPostgres {
    pub(crate) async fn start() -> Result<Self> {
        let server = TestPostgres::start().await;
        pin(SERVER_CORE, &tree(server.pid()))?;
        Ok(Self(server))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        self.0.client().await
    }

    pub(crate) async fn version(&self) -> Result<String> {
        version(&self.0).await
    }
}

async fn version(server: &TestPostgres) -> Result<String> {
    let row =
        server.client().await.query_one("show server_version", &[]).await.context("ask for the version")?;
    let text: String = row.get(0);
    Ok(format!("PostgreSQL {}", text.split(' ').next().unwrap_or_default()))
}
