//! What the receiver is sent: Alertmanager's webhook format, version 4, a message for each rule.

use super::state::{Instance, State, Words};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use std::collections::BTreeMap;

/// Alerts in one message; the rest is counted in it.
const ALERTS_MAX: usize = 100;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'static str,
    group_labels: Words,
    common_labels: Words,
    common_annotations: Words,
    #[serde(rename = "externalURL")]
    external_url: String,
    alerts: Vec<Alert>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: &'static str,
    labels: Words,
    annotations: Words,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// Where alerts come from, for the links in a message.
pub(super) struct Origin<'a> {
    /// Of the console.
    pub(super) external_url: &'a str,
    pub(super) group: &'a str,
    pub(super) expression: &'a str,
}

impl Message {
    /// A message of alerts that fire or are resolved.
    pub(super) fn new(instances: &[Instance], name: &str, origin: &Origin<'_>) -> Self {
        let firing = instances.iter().any(|instance| instance.state == State::Firing);
        let alerts = instances.iter().take(ALERTS_MAX).map(|instance| Alert::new(instance, origin));
        Self {
            version: "4",
            group_key: format!("{{}}/{{group={:?}}}:{{alertname={name:?}}}", origin.group),
            truncated_alerts: instances.len().saturating_sub(ALERTS_MAX),
            status: if firing { "firing" } else { "resolved" },
            receiver: "onefold",
            group_labels: BTreeMap::from([("alertname".to_owned(), name.to_owned())]),
            common_labels: common(instances.iter().map(|instance| &instance.labels)),
            common_annotations: common(instances.iter().map(|instance| &instance.annotations)),
            external_url: origin.external_url.to_owned(),
            alerts: alerts.collect(),
        }
    }
}

impl Alert {
    fn new(instance: &Instance, origin: &Origin<'_>) -> Self {
        let query: String = form_urlencoded::byte_serialize(origin.expression.as_bytes()).collect();
        // Alertmanager's word for a time that is not there.
        let never = || "0001-01-01T00:00:00Z".to_owned();
        Self {
            status: if instance.state == State::Resolved { "resolved" } else { "firing" },
            labels: instance.labels.clone(),
            annotations: instance.annotations.clone(),
            starts_at: instance.fired_ms.map_or_else(never, time_text),
            ends_at: instance.resolved_ms.map_or_else(never, time_text),
            generator_url: format!("{}/metrics?query={query}", origin.external_url),
            fingerprint: format!("{:016x}", fingerprint(&instance.labels)),
        }
    }
}

/// What all have alike.
fn common<'a>(mut all: impl Iterator<Item = &'a Words>) -> Words {
    let Some(first) = all.next() else { return Words::new() };
    let rest: Vec<&Words> = all.collect();
    let everywhere =
        |(name, value): &(&String, &String)| rest.iter().all(|other| other.get(*name) == Some(*value));
    first.iter().filter(everywhere).map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn time_text(at_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// FNV-1a of names and values, each ended by 0xff, as Prometheus' client computes it.
fn fingerprint(labels: &Words) -> u64 {
    let pieces =
        labels.iter().flat_map(|(name, value)| [name.as_bytes(), &[0xff], value.as_bytes(), &[0xff]]);
    let bytes = pieces.flat_map(|piece| piece.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
