//! What the store answers with; serialized as the API has it.

use super::span::SpanView;
use super::stored::StoredBlock;
use crate::collect::json::{duration_ms, hex_span, hex_trace, option_hex_span, shared, time};
use crate::collect::logs::Line;
use crate::collect::value::to_object;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A whole trace.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// Its id.
    #[serde(serialize_with = "hex_trace")]
    pub trace_id: u128,
    /// When the first span began, in nanoseconds since 1970.
    #[serde(serialize_with = "time")]
    pub start: u64,
    /// From the first start to the last end, in nanoseconds.
    #[serde(rename = "duration_ms", serialize_with = "duration_ms")]
    pub duration_ns: u64,
    /// By start; a span that was sent twice stands once.
    pub spans: Vec<Span>,
    /// Spans of other traces that link to this one.
    pub linked: Vec<Linked>,
    /// Its log lines, by time; whoever asks fills them in.
    pub logs: Vec<Line>,
}

/// A span as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// Its id.
    #[serde(serialize_with = "hex_span")]
    pub span_id: u64,
    /// Its parent's; none at a root.
    #[serde(serialize_with = "option_hex_span")]
    pub parent_span_id: Option<u64>,
    /// What was done.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// `service.name`.
    pub service: String,
    /// The node, if the source names one.
    pub node: Option<String>,
    /// The node's role.
    pub role: Option<String>,
    /// The node's zone.
    pub zone: Option<String>,
    /// `onefold.tier`; foreign spans have none.
    pub tier: Option<String>,
    /// In nanoseconds since 1970.
    #[serde(serialize_with = "time")]
    pub start: u64,
    /// Since the trace's start, in nanoseconds.
    #[serde(rename = "offset_ms", serialize_with = "duration_ms")]
    pub offset_ns: u64,
    /// In nanoseconds.
    #[serde(rename = "duration_ms", serialize_with = "duration_ms")]
    pub duration_ns: u64,
    /// `unset`, `ok` or `error`.
    pub status: &'static str,
    /// What the source says of the status.
    pub status_message: String,
    /// The span's own.
    pub attributes: Map<String, Value>,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Spans elsewhere that it goes back to.
    pub links: Vec<Link>,
    /// The library that made it.
    pub scope: String,
    /// Who sent it.
    #[serde(serialize_with = "shared")]
    pub resource: Arc<Map<String, Value>>,
}

/// Something that happened in a span.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// What.
    pub name: String,
    /// In nanoseconds since 1970.
    #[serde(serialize_with = "time")]
    pub time: u64,
    /// Since the trace's start, in nanoseconds.
    #[serde(rename = "offset_ms", serialize_with = "duration_ms")]
    pub offset_ns: u64,
    /// More about it.
    pub attributes: Map<String, Value>,
}

/// A span that another goes back to.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Its trace.
    #[serde(serialize_with = "hex_trace")]
    pub trace_id: u128,
    /// Its id.
    #[serde(serialize_with = "hex_span")]
    pub span_id: u64,
    /// More about it.
    pub attributes: Map<String, Value>,
}

/// A span of another trace that links to the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Linked {
    /// Its trace.
    #[serde(serialize_with = "hex_trace")]
    pub trace_id: u128,
    /// Its id.
    #[serde(serialize_with = "hex_span")]
    pub span_id: u64,
    /// Its name.
    pub operation: String,
}

/// A trace in a list.
#[derive(Clone, Debug, Serialize)]
pub struct TraceSummary {
    /// Its id.
    #[serde(serialize_with = "hex_trace")]
    pub trace_id: u128,
    /// The span without a parent, or the earliest if that has not come.
    pub root: TraceRoot,
    /// In nanoseconds since 1970.
    #[serde(serialize_with = "time")]
    pub start: u64,
    /// In nanoseconds.
    #[serde(rename = "duration_ms", serialize_with = "duration_ms")]
    pub duration_ns: u64,
    /// How many it has.
    pub spans: usize,
    /// How many of them failed.
    pub errors: usize,
    /// `error` or `ok`.
    pub status: &'static str,
    /// The nodes that it went through, by the start of their first span.
    pub nodes: Vec<String>,
    /// Why it was kept.
    pub kept: Kept,
}

/// Where a trace began.
#[derive(Clone, Debug, Serialize)]
pub struct TraceRoot {
    /// `service.name`.
    pub service: String,
    /// The node, if the source names one.
    pub node: Option<String>,
    /// What was asked: the span's name, or that of the first server with a route where this is a proxy.
    pub operation: String,
    /// `onefold.tier`.
    pub tier: Option<String>,
}

/// A service, for the search form.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// `service.name`.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<String>,
    /// Its spans' names.
    pub operations: Vec<String>,
}

/// Why a trace was kept: the strongest reason that any of its spans gives (`onefold.kept`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// The decision at its root.
    #[default]
    Sampled,
    /// Another node asked for it.
    Asked,
    /// It was slow.
    Slow,
    /// It failed.
    Error,
}

impl FromStr for Kept {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "sampled" => Ok(Self::Sampled),
            "asked" => Ok(Self::Asked),
            "slow" => Ok(Self::Slow),
            "error" => Ok(Self::Error),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

const KINDS: [&str; 6] = ["internal", "internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 3] = ["unset", "ok", "error"];

impl Trace {
    /// Puts spans in their order, once each.
    pub(super) fn of(trace_id: u128, mut spans: Vec<Span>, linked: Vec<Linked>) -> Self {
        spans.sort_by_key(|span| (span.start, span.parent_span_id.is_some(), span.span_id));
        // A sender that heard no answer sends again.
        spans.dedup_by_key(|span| (span.start, span.span_id));
        let start = spans.first().map_or(0, |span| span.start);
        let end = spans.iter().map(|span| span.start.saturating_add(span.duration_ns)).max().unwrap_or(start);
        for span in &mut spans {
            span.offset_ns = span.start - start;
            for event in &mut span.events {
                event.offset_ns = event.time.saturating_sub(start);
            }
        }
        Self { trace_id, start, duration_ns: end - start, spans, linked, logs: Vec::new() }
    }

    /// The trace in a list.
    pub(super) fn summary(&self) -> Option<TraceSummary> {
        let root = self.spans.iter().find(|span| span.parent_span_id.is_none()).or(self.spans.first())?;
        let mut nodes: Vec<String> = Vec::new();
        for node in self.spans.iter().filter_map(|span| span.node.as_ref()) {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        let errors = self.spans.iter().filter(|span| span.status == "error").count();
        let kept = |span: &Span| span.attributes.get("onefold.kept")?.as_str()?.parse().ok();
        Some(TraceSummary {
            trace_id: self.trace_id,
            root: TraceRoot {
                service: root.service.clone(),
                node: root.node.clone(),
                operation: asked(root, &self.spans).name.clone(),
                tier: root.tier.clone(),
            },
            start: self.start,
            duration_ns: self.duration_ns,
            spans: self.spans.len(),
            errors,
            status: if errors > 0 { "error" } else { "ok" },
            nodes,
            kept: self.spans.iter().filter_map(kept).max().unwrap_or_default(),
        })
    }
}

/// The span whose name says what was asked. A proxy in front knows the method alone; the first server behind it that
/// names a route knows more.
fn asked<'a>(root: &'a Span, spans: &'a [Span]) -> &'a Span {
    let has_route = |span: &&Span| span.kind == "server" && span.attributes.contains_key("http.route");
    if root.kind == "server" { spans.iter().find(has_route).unwrap_or(root) } else { root }
}

/// The spans of one trace in a block, as they are shown.
pub(super) fn spans_of(block: &StoredBlock<'_>, trace: u128) -> Vec<Span> {
    let mut resources: Vec<Option<Arc<Map<String, Value>>>> = vec![None; block.resources.len()];
    block
        .spans
        .iter()
        .filter(|stored| stored.span.trace == trace)
        .filter_map(|stored| {
            let source = block.resources.get(stored.resource)?;
            let resource = resources
                .get_mut(stored.resource)?
                .get_or_insert_with(|| Arc::new(to_object(&source.attributes)));
            let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
            let span = &stored.span;
            Some(Span {
                service: source.service().to_owned(),
                node: owned(source.node()),
                role: owned(source.role()),
                zone: owned(source.zone()),
                tier: owned(span.text_of("onefold.tier")),
                scope: stored.scope.to_owned(),
                resource: Arc::clone(resource),
                ..shown(span)
            })
        })
        .collect()
}

fn shown(span: &SpanView<'_>) -> Span {
    let event = |event: &super::span::EventView<'_>| Event {
        name: event.name.clone().into_owned(),
        time: event.time_ns,
        offset_ns: 0,
        attributes: to_object(&event.attributes),
    };
    let link = |link: &super::span::LinkView<'_>| Link {
        trace_id: link.trace,
        span_id: link.span,
        attributes: to_object(&link.attributes),
    };
    Span {
        span_id: span.id,
        parent_span_id: (span.parent != 0).then_some(span.parent),
        name: span.name.clone().into_owned(),
        kind: KINDS.get(usize::from(span.kind)).copied().unwrap_or("internal"),
        service: String::new(),
        node: None,
        role: None,
        zone: None,
        tier: None,
        start: span.start_ns,
        offset_ns: 0,
        duration_ns: span.duration_ns,
        status: STATUSES.get(usize::from(span.status)).copied().unwrap_or("unset"),
        status_message: span.status_message.clone().into_owned(),
        attributes: to_object(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        scope: String::new(),
        resource: Arc::default(),
    }
}
