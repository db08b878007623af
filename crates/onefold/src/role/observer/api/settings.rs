//! `/api/settings`: runtime settings with their history, and which revision each node runs.

use super::change::{Rollback, Who, in_force};
use super::history::{HISTORY_MAX, last_change};
use super::{Desk, refusal};
use crate::error::Result;
use crate::role::observer::stamp::Stamp;
use axum::Json;
use axum::extract::{Path, State};
use onefold_coordination::settings::{NodeRevision, SettingValue};
use onefold_coordination::store::Past;
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
    let names = all.iter().map(|setting| setting.name.as_str());
    let mut latest = settings.latest(names).await.map_err(&refused)?;
    let shown = all.into_iter().map(|setting| {
        let last = latest.remove(&setting.name);
        shown(setting, last, &nodes)
    });
    Ok(Json(json!({ "settings": shown.collect::<Vec<Setting>>() })))
}

fn shown(setting: SettingValue, last: Option<Past>, nodes: &[NodeRevision]) -> Setting {
    let (updated_at, updated_by, reason) = last_change(last);
    Setting {
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
    }
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
