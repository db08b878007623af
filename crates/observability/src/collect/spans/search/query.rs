//! What is searched for.

use super::super::model::{Span, Trace, TraceSummary};
use super::super::stored::{StoredBlock, StoredSpan};
use crate::collect::value::{Attributes, Value};
use serde::Serialize;

/// Conditions; all of them must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// `service.name` of one of its spans.
    pub service: Option<String>,
    /// The node of that span.
    pub node: Option<String>,
    /// That span's name.
    pub operation: Option<String>,
    /// Attributes of that span or its resource, as they read.
    pub attributes: Vec<(String, String)>,
    /// A text in that span's name, status, values or events; ASCII letters in either case.
    pub text: Option<String>,
    /// Whether any span failed.
    pub status: Option<Status>,
    /// How long the trace took, in nanoseconds.
    pub duration_min_ns: u64,
    /// How long the trace took, in nanoseconds.
    pub duration_max_ns: u64,
    /// When it began, in nanoseconds since 1970.
    pub start_ns: u64,
    /// When it began at the latest.
    pub end_ns: u64,
    /// How many are answered.
    pub limit: usize,
}

/// Whether a trace failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No span failed.
    Ok,
    /// At least one span failed.
    Error,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The newest first.
    pub traces: Vec<TraceSummary>,
    /// There may be more.
    pub truncated: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            service: None,
            node: None,
            operation: None,
            attributes: Vec::new(),
            text: None,
            status: None,
            duration_min_ns: 0,
            duration_max_ns: u64::MAX,
            start_ns: 0,
            end_ns: u64::MAX,
            limit: 20,
        }
    }
}

impl Query {
    /// Whether blocks must be read to answer it.
    pub(super) fn asks_for_spans(&self) -> bool {
        self.service.is_some()
            || self.node.is_some()
            || self.operation.is_some()
            || self.text.is_some()
            || !self.attributes.is_empty()
    }

    /// Whether rows leave few traces, so that blocks need not be searched for spans.
    pub(super) fn is_for_few(&self) -> bool {
        self.status == Some(Status::Error) || self.duration_min_ns > 0
    }

    /// Whether a span of the trace fits.
    pub(super) fn fits_one_of(&self, trace: &Trace) -> bool {
        let text = self.text.as_ref().map(|text| text.to_ascii_lowercase());
        let is =
            |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
        trace.spans.iter().any(|span| {
            is(&self.operation, Some(&span.name))
                && is(&self.service, Some(&span.service))
                && is(&self.node, span.node.as_ref())
                && self.attributes.iter().all(|(key, wanted)| {
                    let values = [span.attributes.get(key), span.resource.get(key)];
                    values.into_iter().flatten().any(|value| reads_as(value, wanted))
                })
                && text.as_ref().is_none_or(|text| shows(span, text))
        })
    }

    /// Whether the trace as a whole fits.
    pub(super) fn fits(&self, trace: &TraceSummary) -> bool {
        let status = match self.status {
            None => true,
            Some(Status::Ok) => trace.errors == 0,
            Some(Status::Error) => trace.errors > 0,
        };
        status
            && (self.start_ns..=self.end_ns).contains(&trace.start)
            && (self.duration_min_ns..=self.duration_max_ns).contains(&trace.duration_ns)
    }

    /// Whether a span fits; `folded` finds the text in lower case.
    pub(super) fn fits_span(
        &self,
        block: &StoredBlock<'_>,
        stored: &StoredSpan<'_>,
        folded: Option<&memchr::memmem::Finder<'_>>,
    ) -> bool {
        let Some(resource) = block.resources.get(stored.resource) else { return false };
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.operation, Some(&stored.span.name))
            && is(&self.service, Some(resource.service()))
            && is(&self.node, resource.node())
            && self.attributes.iter().all(|(key, value)| {
                holds(&stored.span.attributes, key, value) || holds(&resource.attributes, key, value)
            })
            && folded.is_none_or(|folded| says(stored, folded))
    }
}

/// Whether an attribute that is shown is what somebody wrote into a search.
pub(crate) fn reads_as(value: &serde_json::Value, wanted: &str) -> bool {
    match value {
        serde_json::Value::String(text) => text == wanted,
        serde_json::Value::Number(number) if number.is_f64() => wanted.parse().ok() == number.as_f64(),
        other => serde_json::from_str(wanted).is_ok_and(|wanted: serde_json::Value| wanted == *other),
    }
}

/// Whether a span that is shown has this text, in lower case.
fn shows(span: &Span, text: &str) -> bool {
    let has = |shown: &str| shown.to_ascii_lowercase().contains(text);
    let any = |values: &serde_json::Map<String, serde_json::Value>| {
        values.values().any(|value| value.as_str().map_or_else(|| has(&value.to_string()), has))
    };
    has(&span.name)
        || has(&span.status_message)
        || any(&span.attributes)
        || span.events.iter().any(|event| has(&event.name) || any(&event.attributes))
}

fn holds(attributes: &Attributes<'_>, key: &str, wanted: &str) -> bool {
    attributes.iter().any(|(name, value)| name == key && value.reads_as(wanted))
}

fn says(stored: &StoredSpan<'_>, folded: &memchr::memmem::Finder<'_>) -> bool {
    let text = |text: &str| crate::collect::block::contains_folded(text.as_bytes(), folded);
    let any = |attributes: &Attributes<'_>| {
        attributes
            .iter()
            .any(|(_, value)| matches!(value, Value::Text(value) | Value::Json(value) if text(value)))
    };
    let span = &stored.span;
    text(&span.name)
        || text(&span.status_message)
        || any(&span.attributes)
        || span.events.iter().any(|event| text(&event.name) || any(&event.attributes))
}
