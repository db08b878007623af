//! `/api/settings`: runtime settings with their history, and which revision each node runs.

use super::change::{Rollback, Who, in_force};
use super::history::{ASKED_MAX, HISTORY_MAX, last_change};
use super::{Desk, refusal};
use crate::error::Result;
use crate::role::observer::stamp::Stamp;
use axum::Json;
use axum::extract::{Path, State};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use onefold_coordination::Settings;
use onefold_coordination::settings::{NodeRevision, SettingValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize)]
struct Setting {
    key: String,
    /// What it takes, in words.
    r#type: &'static str,
    description: &'static str,
    value: Value,
    default: Value,
    /// None for the default.
    revision: Option<i64>,
    updated_at: Option<Stamp>,
    updated_by: Option<String>,
    reason: Option<String>,
    /// Up to which revision each node has applied everything.
    nodes: Vec<NodeRevision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewValue {
    value: Value,
    #[serde(default)]
    reason: Option<String>,
    /// Refused where somebody has set it since this revision; 0 stands for "it was not set".
    #[serde(default)]
    expected: Option<i64>,
}

pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Value>> {
    let settings = desk.coordination.settings();
    let refused = refusal::coordination("key");
    let (all, nodes) = tokio::try_join!(settings.list(), settings.nodes()).map_err(&refused)?;
    let shown = stream::iter(all).map(|setting| shown(settings, setting, &nodes));
    let shown: Vec<Setting> = shown.buffered(ASKED_MAX).try_collect().await.map_err(&refused)?;
    Ok(Json(json!({ "settings": shown })))
}

async fn shown(
    settings: &Settings,
    setting: SettingValue,
    nodes: &[NodeRevision],
) -> Result<Setting, onefold_coordination::Error> {
    let last = settings.history(&setting.name, 1).await?.into_iter().next();
    let (updated_at, updated_by, reason) = last_change(last);
    Ok(Setting {
        r#type: setting.takes,
        description: setting.description,
        value: setting.value,
        default: setting.default,
        revision: setting.revision,
        updated_at,
        updated_by,
        reason,
        nodes: nodes.to_vec(),
        fault: setting.fault,
        key: setting.name,
    })
}

pub(super) async fn history(State(desk): State<Desk>, Path(key): Path<String>) -> Result<Json<Value>> {
    let past = desk.coordination.settings().history(&key, HISTORY_MAX).await;
    Ok(Json(json!({ "history": past.map_err(refusal::coordination("key"))? })))
}

pub(super) async fn write(
    State(desk): State<Desk>,
    Path(key): Path<String>,
    who: Who,
    Json(body): Json<NewValue>,
) -> Result<Json<Value>> {
    let writer = who.because(body.reason)?;
    let written = desk.coordination.settings().set(&key, body.value, body.expected, writer).await;
    Ok(in_force(written.map_err(refusal::coordination("value"))?))
}

pub(super) async fn rollback(
    State(desk): State<Desk>,
    Path(key): Path<String>,
    who: Who,
    Json(body): Json<Rollback>,
) -> Result<Json<Value>> {
    let writer = who.because(body.reason)?;
    let written = desk.coordination.settings().rollback(&key, body.revision, writer).await;
    Ok(in_force(written.map_err(refusal::coordination("revision"))?))
}
