//! `/api/alerts`: what may be changed about them. They are read through the collector.

use super::Desk;
use super::change::done;
use crate::error::{Error, Kind, Result};
use axum::Json;
use axum::extract::{Path, State};
use onefold_observability::collect::alerts::{NewSilence, ShownSilence};
use serde_json::Value;

pub(super) async fn silence(
    State(desk): State<Desk>,
    Json(new): Json<NewSilence>,
) -> Result<Json<ShownSilence>> {
    let silenced = desk.alerts.silence(new);
    Ok(Json(silenced.map_err(|refused| Error::invalid(refused.field, refused.problem))?))
}

pub(super) async fn unsilence(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Value>> {
    if desk.alerts.unsilence(&id) {
        return Ok(done());
    }
    Err(Error::new(Kind::NotFound, format!("there is no silence {id}; it may have ended")))
}

/// Sends the receiver a notification that says it is a test.
pub(super) async fn test(State(desk): State<Desk>) -> Result<Json<Value>> {
    desk.alerts.test().await.map_err(Error::conflict)?;
    Ok(done())
}
