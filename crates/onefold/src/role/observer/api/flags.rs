//! `/api/flags`: feature flags with their history.

use super::change::{Rollback, Who, in_force};
use super::history::{HISTORY_MAX, last_change};
use super::{Desk, refusal};
use crate::error::Result;
use crate::role::observer::stamp::Stamp;
use axum::Json;
use axum::extract::{Path, State};
use onefold_coordination::flags::FlagSummary;
use onefold_coordination::store::Past;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize)]
struct Flag {
    key: String,
    /// None where it is broken.
    state: Option<Value>,
    default_variant: Option<String>,
    variants: Value,
    targeting: Option<Value>,
    revision: i64,
    updated_at: Option<Stamp>,
    updated_by: Option<String>,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    definition: Value,
    #[serde(default)]
    reason: Option<String>,
}

pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Value>> {
    let flags = desk.coordination.flags();
    let refused = refusal::coordination("key");
    let (summaries, stored) = tokio::try_join!(flags.list(), flags.export()).map_err(&refused)?;
    let names = summaries.iter().map(|summary| summary.name.as_str());
    let mut latest = flags.latest(names).await.map_err(&refused)?;
    let shown = summaries.into_iter().map(|summary| {
        let last = latest.remove(&summary.name);
        shown(summary, last, &stored["flags"])
    });
    Ok(Json(json!({ "flags": shown.collect::<Vec<Flag>>() })))
}

fn shown(summary: FlagSummary, last: Option<Past>, stored: &Value) -> Flag {
    let stored = &stored[&summary.name];
    let (updated_at, updated_by, reason) = last_change(last);
    Flag {
        state: stored.get("state").cloned(),
        default_variant: summary.default_variant,
        variants: stored["variants"].clone(),
        targeting: stored.get("targeting").filter(|rule| !is_empty(rule)).cloned(),
        revision: summary.revision,
        updated_at,
        updated_by,
        reason,
        fault: summary.fault,
        key: summary.name,
    }
}

fn is_empty(rule: &Value) -> bool {
    rule.is_null() || rule.as_object().is_some_and(serde_json::Map::is_empty)
}

pub(super) async fn history(State(desk): State<Desk>, Path(key): Path<String>) -> Result<Json<Value>> {
    let past = desk.coordination.flags().history(&key, HISTORY_MAX).await;
    Ok(Json(json!({ "history": past.map_err(refusal::coordination("key"))? })))
}

pub(super) async fn write(
    State(desk): State<Desk>,
    Path(key): Path<String>,
    who: Who,
    Json(body): Json<Definition>,
) -> Result<Json<Value>> {
    let writer = who.because(body.reason)?;
    let written = desk.coordination.flags().put(&key, body.definition, writer).await;
    Ok(in_force(written.map_err(refusal::coordination("definition"))?))
}

pub(super) async fn rollback(
    State(desk): State<Desk>,
    Path(key): Path<String>,
    who: Who,
    Json(body): Json<Rollback>,
) -> Result<Json<Value>> {
    let writer = who.because(body.reason)?;
    let written = desk.coordination.flags().rollback(&key, body.revision, writer).await;
    Ok(in_force(written.map_err(refusal::coordination("revision"))?))
}
