//! The observer's API, as far as it is about the system itself and what may be changed in it: plain functions of
//! the tiers, behind the console's guard.

mod alerts;
mod change;
mod faults;
mod flags;
mod history;
mod jobs;
mod refusal;
mod settings;
mod targets;
mod topology;

use super::survey::View;
use crate::request::as_problem;
use axum::routing::{delete, get, post, put};
use axum::{Router, middleware};
use onefold_coordination::Coordination;
use onefold_observability::collect::Alerts;
use onefold_queue::Admin;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What the handlers ask and change.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) jobs: Admin,
    pub(super) coordination: Coordination,
    pub(super) alerts: Alerts,
    /// The state directory of the `up` that runs this system, where one does.
    pub(super) supervisor: Option<PathBuf>,
}

/// What may be read.
pub(super) fn reads(view: View, desk: Desk, stopping: CancellationToken) -> Router {
    Router::new()
        .route("/api/jobs", get(jobs::list))
        .route("/api/jobs/{id}", get(jobs::show))
        .route("/api/flags", get(flags::list))
        .route("/api/flags/{key}/history", get(flags::history))
        .route("/api/settings", get(settings::list))
        .route("/api/settings/{key}/history", get(settings::history))
        .route("/api/faults", get(faults::list))
        .with_state(desk.clone())
        .merge(targets::router(view.clone()))
        .merge(topology::router(view, desk.alerts, stopping))
        .layer(middleware::map_response(as_problem))
}

/// What may be changed.
pub(super) fn changes(desk: Desk) -> Router {
    Router::new()
        .route("/api/jobs/{id}/retry", post(jobs::retry))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/jobs/dead/{id}/replay", post(jobs::replay))
        .route("/api/flags/{key}", put(flags::write))
        .route("/api/flags/{key}/rollback", post(flags::rollback))
        .route("/api/settings/{key}", put(settings::write))
        .route("/api/settings/{key}/rollback", post(settings::rollback))
        .route("/api/alerts/silences", post(alerts::silence))
        .route("/api/alerts/silences/{id}", delete(alerts::unsilence))
        .route("/api/alerts/test", post(alerts::test))
        .route("/api/faults", post(faults::inflict).delete(faults::heal_all))
        .route("/api/faults/{id}", delete(faults::heal))
        .with_state(desk)
        .layer(middleware::map_response(as_problem))
}
