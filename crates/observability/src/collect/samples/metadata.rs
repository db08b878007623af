//! What metrics are: their types and words, as their senders describe them.

use serde::Serialize;
use std::collections::BTreeMap;

const METRICS_MAX: usize = 20_000;
const HELP_BYTES_MAX: usize = 1024;

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// `counter`, `gauge`, `histogram` or `summary`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// In its sender's words.
    pub help: String,
    /// Always empty, since the name says it; Prometheus' API has the field.
    pub unit: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Metadata(BTreeMap<String, Description>);

impl Metadata {
    pub(super) fn note(&mut self, name: &str, kind: &'static str, help: &str) {
        let help = &help[..help.floor_char_boundary(HELP_BYTES_MAX)];
        let known = self.0.get(name);
        let changed = known.is_none_or(|known| known.kind != kind || known.help != help);
        if changed && (known.is_some() || self.0.len() < METRICS_MAX) {
            self.0.insert(name.to_owned(), Description { kind, help: help.to_owned(), unit: "" });
        }
    }

    pub(super) fn all(&self) -> BTreeMap<String, Description> {
        self.0.clone()
    }
}
