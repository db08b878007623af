//! The observer's stores by themselves: OTLP in, reads out.

use anyhow::{Context as _, Result};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::{Collector, Config};
use std::path::Path;
use tokio::net::TcpListener;

/// Disk for all signals: enough for every span of a run.
const BYTES_MAX: u64 = 4 << 30;

/// Serves until the process is killed.
pub(crate) async fn serve(otlp: u16, reads: u16, directory: &Path) -> Result<()> {
    let tasks = TaskGroup::new();
    let config = Config { bytes_max: BYTES_MAX, ..Config::default() };
    let collector = Collector::open(config, directory, &tasks, &Metrics::new(), &Clock::system())
        .context("open the stores")?;
    let listener = TcpListener::bind(("127.0.0.1", otlp)).await.context("listen")?;
    let (ingest, stopping) = (collector.clone(), tasks.stopping());
    tasks.spawn("ingest", async move { ingest.serve_http(listener, stopping).await });
    let listener = TcpListener::bind(("127.0.0.1", reads)).await.context("listen")?;
    axum::serve(listener, collector.router()).await.context("serve reads")
}
