//! `/api/alerts`: all alerts and silences as they stand. Changes are mounted by whoever checks who asks for them.

use super::{Parameters, Problem, Reads};
use crate::collect::alerts::Overview;
use axum::Json;
use axum::extract::State;

pub(super) async fn list(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Overview>, Problem> {
    parameters.only(&[])?;
    Ok(Json(reads.collector.alerts().list()))
}
