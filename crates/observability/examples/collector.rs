//! The observer's stores by themselves: takes OTLP from any source, answers `/api/traces`, `/api/logs` and the rest.
//! It has no console, and asks nobody who they are.
//!
//! `cargo run --example collector -- DIRECTORY`

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::{Collector, Config};
use std::error::Error;
use std::path::PathBuf;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: collector DIRECTORY")?;
    let (tasks, metrics, clock) = (TaskGroup::new(), Metrics::new(), Clock::system());
    let collector = Collector::open(Config::default(), &PathBuf::from(directory), &tasks, &metrics, &clock)?;
    let otlp = TcpListener::bind("127.0.0.1:0").await?;
    let reads = TcpListener::bind("127.0.0.1:0").await?;
    println!("otlp {}", otlp.local_addr()?);
    println!("reads {}", reads.local_addr()?);
    let (ingest, stopping) = (collector.clone(), tasks.stopping());
    tasks.spawn("ingest", async move { ingest.serve_grpc(otlp, stopping).await });
    Ok(axum::serve(reads, collector.router()).await?)
}
