//! The reads, as JSON. Times are RFC 3339 in UTC with milliseconds, or Unix seconds on their way in; durations are
//! milliseconds; a mistake is answered by `application/problem+json` that names the parameter.

mod alerts;
mod logs;
mod metrics;
mod parameters;
mod problem;
mod prometheus;
mod tempo;
mod traces;

use super::{Collector, Error, Retention};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use parameters::Parameters;
use problem::Problem;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Searches at once: each may hold some megabytes and a thread.
const READS_MAX: usize = 4;

/// What the handlers share.
#[derive(Clone)]
struct Reads {
    collector: Collector,
    places: Arc<Semaphore>,
}

pub(super) fn router(collector: &Collector) -> Router {
    let reads = Reads { collector: collector.clone(), places: Arc::new(Semaphore::new(READS_MAX)) };
    Router::new()
        .route("/api/traces", get(traces::list))
        .route("/api/traces/{trace_id}", get(traces::one))
        .route("/api/operations", get(traces::operations))
        .route("/api/logs", get(logs::list))
        .route("/api/logs/tail", get(logs::tail))
        .route("/api/metrics", get(metrics::query))
        .route("/api/alerts", get(alerts::list))
        .route("/api/retention", get(retention))
        .merge(tempo::router())
        .with_state(reads)
        .merge(prometheus::router(collector.samples()))
        .merge(prometheus::rules::router(collector.alerts()))
}

impl Reads {
    /// Reads from the stores apart from the connections, a few at once.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Collector) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Problem::stopped())?;
        let collector = self.collector.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = read(&collector);
            drop(place);
            answer
        });
        Ok(answer.await.map_err(|_| Problem::stopped())??)
    }
}

/// What another product would say of its build: its version, by which clients choose their requests, and our own.
fn build(version: &str) -> Value {
    json!({
        "version": version,
        "revision": env!("CARGO_PKG_VERSION"),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

#[derive(Serialize)]
struct Signals {
    signals: Vec<Retention>,
}

async fn retention(State(reads): State<Reads>, parameters: Parameters) -> Result<Json<Signals>, Problem> {
    parameters.only(&[])?;
    Ok(Json(Signals { signals: reads.collector.retention() }))
}

#[cfg(test)]
mod tests;
