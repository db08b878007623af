//! What every node serves on its admin address: `/healthz`, `/readyz`, `/metrics`.

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use onefold_balancer::{Balancer, EndpointStatus};
use onefold_core::metrics::{CONTENT_TYPE, Metrics};
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

/// The admin routes of a node.
pub(crate) fn router(readiness: Readiness, metrics: Metrics, balancer: Seat) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(render))
        .with_state(metrics)
        .route(ENDPOINTS, get(endpoints))
        .with_state(balancer)
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
