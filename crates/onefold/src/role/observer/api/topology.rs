//! `/api/topology` and `/api/events`: the picture, once and live.

use crate::error::{Error, Kind, Result};
use crate::role::observer::picture::Picture;
use crate::role::observer::stream;
use crate::role::observer::survey::View;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use onefold_observability::collect::Alerts;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How many may watch at once.
const READERS_MAX: usize = 64;

#[derive(Clone)]
struct Gallery {
    view: View,
    alerts: Alerts,
    seats: Arc<Semaphore>,
    stopping: CancellationToken,
}

pub(super) fn router(view: View, alerts: Alerts, stopping: CancellationToken) -> Router {
    let gallery = Gallery { view, alerts, seats: Arc::new(Semaphore::new(READERS_MAX)), stopping };
    Router::new().route("/api/topology", get(show)).route("/api/events", get(events)).with_state(gallery)
}

async fn show(State(Gallery { view, .. }): State<Gallery>) -> Json<Picture> {
    let picture = view.picture();
    Json(picture.at(DateTime::<Utc>::from(view.clock.wall())))
}

async fn events(State(gallery): State<Gallery>) -> Result<Response> {
    let Gallery { view, alerts, seats, stopping } = gallery;
    let seat = seats.try_acquire_owned().map_err(|_| {
        Error::new(Kind::Unavailable, format!("{READERS_MAX} readers watch already; close one"))
    })?;
    Ok(stream::events(view, alerts, stopping, seat).into_response())
}
