//! What every node serves on its admin address: `/healthz`, `/readyz`, `/metrics`, and the parts of traces that
//! another node asks for.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use onefold_balancer::{Balancer, EndpointStatus};
use onefold_core::TraceId;
use onefold_core::metrics::{CONTENT_TYPE, Metrics};
use onefold_core::trace::InvalidTraceId;
use onefold_observability::emit::Emitter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether a node takes work: set once it can, unset when it drains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The balancer of a node that is one, once it stands.
pub(crate) type Seat = Arc<OnceLock<Balancer>>;

/// Where a balancer tells of its endpoints.
pub(crate) const ENDPOINTS: &str = "/balancer/endpoints";

/// Where a node is asked to send what it has of traces: a list of ids, as JSON.
pub(crate) const KEEP: &str = "/traces/keep";

/// How many at once.
pub(crate) const KEPT_MAX: usize = 256;

/// An id, its quotes, a comma and some space.
const KEPT_BYTES_MAX: usize = KEPT_MAX * 40;

/// The admin routes of a node.
pub(crate) fn router(readiness: Readiness, metrics: Metrics, balancer: Seat, emitter: Emitter) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(render))
        .with_state(metrics)
        .route(ENDPOINTS, get(endpoints))
        .with_state(balancer)
        .route(KEEP, post(keep).layer(DefaultBodyLimit::max(KEPT_BYTES_MAX)))
        .with_state(emitter)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.get() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())
}

async fn endpoints(State(balancer): State<Seat>) -> Result<Json<Vec<EndpointStatus>>, StatusCode> {
    balancer.get().map(|balancer| Json(balancer.endpoints())).ok_or(StatusCode::NOT_FOUND)
}

async fn keep(State(emitter): State<Emitter>, Json(ids): Json<Vec<String>>) -> Result<StatusCode, Response> {
    if ids.len() > KEPT_MAX {
        let detail = format!("{} traces are too many: {KEPT_MAX} at most", ids.len());
        return Err((StatusCode::UNPROCESSABLE_ENTITY, detail).into_response());
    }
    let traces: Result<Vec<TraceId>, _> = ids.iter().map(|id| id.parse()).collect();
    let traces = traces.map_err(|error: InvalidTraceId| {
        (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response()
    })?;
    emitter.keep(&traces);
    Ok(StatusCode::ACCEPTED)
}
