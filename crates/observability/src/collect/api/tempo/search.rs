//! `/api/search`: traces by `TraceQL` (`q`), or by attributes and durations (`tags`, `minDuration`, `maxDuration`).

use super::filter::{Filter, Range, SERVICE};
use super::{Problem, Reads, logfmt, otlp, traceql};
use crate::collect::api::Parameters;
use crate::collect::spans::{Query, Span, Trace, TraceSummary};
use crate::collect::{Collector, Error};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 200;
/// Traces that the store is asked for at most, where some that it finds do not fit.
const CANDIDATES_MAX: usize = 1600;
/// Spans that are shown of those that fit.
const SPANS: usize = 3;
const SPANS_MAX: usize = 100;

#[derive(Serialize)]
pub(super) struct Answer {
    traces: Vec<Found>,
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "traceID")]
    trace_id: String,
    root_service_name: String,
    root_trace_name: String,
    start_time_unix_nano: String,
    duration_ms: u64,
    /// Of a search by `TraceQL`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    span_sets: Vec<SpanSet>,
}

#[derive(Serialize)]
struct SpanSet {
    spans: Vec<FoundSpan>,
    matched: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    name: String,
    start_time_unix_nano: String,
    duration_nanos: String,
    attributes: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    inspected_traces: usize,
    completed_jobs: u32,
    total_jobs: u32,
}

/// A search, and how much of what it finds is shown.
struct Search {
    filter: Filter,
    query: Query,
    limit: usize,
    /// None: without the spans that fit.
    spans: Option<usize>,
}

pub(super) async fn search(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Answer>, Problem> {
    let search = read(&parameters)?;
    Ok(Json(reads.read(move |collector| search.run(collector)).await?))
}

fn read(parameters: &Parameters) -> Result<Search, Problem> {
    let by_query = parameters.text("q");
    let filter = match &by_query {
        Some(query) => traceql::parse(query).map_err(|problem| Problem::parameter("q", problem))?,
        None => by_tags(parameters)?,
    };
    let any = Query::default();
    let query = Query {
        start_ns: parameters.time("start")?.unwrap_or(any.start_ns),
        end_ns: parameters.time("end")?.unwrap_or(any.end_ns),
        ..filter.query()
    };
    let spans = parameters.read("spss", "a whole number")?.unwrap_or(SPANS).min(SPANS_MAX);
    let limit = parameters.limit(LIMIT, LIMIT_MAX)?;
    Ok(Search { filter, query, limit, spans: by_query.map(|_| spans) })
}

fn by_tags(parameters: &Parameters) -> Result<Filter, Problem> {
    let tags = parameters.text("tags").unwrap_or_default();
    let mut filter = logfmt::parse(&tags).map_err(|problem| Problem::parameter("tags", problem))?;
    let duration = |name: &str| {
        let Some(text) = parameters.text(name) else { return Ok(None) };
        let wrong = || Problem::parameter(name, format!("`{text:.64}` is no duration such as 100ms or 1.5s"));
        traceql::duration_ns(&text).map(Some).ok_or_else(wrong)
    };
    let any = Range::default();
    filter.trace = Range {
        min_ns: duration("minDuration")?.unwrap_or(any.min_ns),
        max_ns: duration("maxDuration")?.unwrap_or(any.max_ns),
    };
    Ok(filter)
}

impl Search {
    /// Asks the store for more until enough of what it finds fits.
    fn run(mut self, collector: &Collector) -> Result<Answer, Error> {
        self.query.limit = self.limit;
        loop {
            let found = collector.spans().search(&self.query)?;
            let mut traces = Vec::new();
            for summary in &found.traces {
                let Some(trace) = collector.spans().trace(summary.trace_id)? else { continue };
                let matched = self.filter.matched(&trace);
                if !matched.is_empty() && traces.len() < self.limit {
                    traces.push(self.shown(summary, &trace, &matched));
                }
            }
            if traces.len() >= self.limit || !found.truncated || self.query.limit >= CANDIDATES_MAX {
                let inspected_traces = found.traces.len();
                return Ok(Answer {
                    traces,
                    metrics: Metrics { inspected_traces, completed_jobs: 1, total_jobs: 1 },
                });
            }
            self.query.limit = (self.query.limit * 4).min(CANDIDATES_MAX);
        }
    }

    fn shown(&self, summary: &TraceSummary, trace: &Trace, matched: &[&Span]) -> Found {
        let spans = |most| SpanSet {
            spans: matched.iter().take(most).map(|span| self.shown_span(span)).collect(),
            matched: matched.len(),
        };
        Found {
            trace_id: format!("{:032x}", trace.trace_id),
            root_service_name: summary.root.service.clone(),
            root_trace_name: summary.root.operation.clone(),
            start_time_unix_nano: trace.start.to_string(),
            duration_ms: trace.duration_ns / 1_000_000,
            span_sets: self.spans.map(spans).into_iter().collect(),
        }
    }

    /// With the attributes that were asked for, and the service.
    fn shown_span(&self, span: &Span) -> FoundSpan {
        let mut attributes = vec![otlp::pair(SERVICE, &Value::String(span.service.clone()))];
        let asked = self.filter.attributes.iter().filter(|attribute| attribute.key != SERVICE);
        attributes
            .extend(asked.filter_map(|attribute| Some(otlp::pair(&attribute.key, attribute.of(span)?))));
        FoundSpan {
            span_id: format!("{:016x}", span.span_id),
            name: span.name.clone(),
            start_time_unix_nano: span.start.to_string(),
            duration_nanos: span.duration_ns.to_string(),
            attributes,
        }
    }
}
