//! `/api/traces`, `/api/traces/{trace_id}`, `/api/operations`.

use super::{Parameters, Problem, Reads};
use crate::collect::json::read_trace;
use crate::collect::logs::LogQuery;
use crate::collect::spans::{Found, Query, Service, Status, Trace};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 200;
/// Conditions on attributes in one question.
const ATTRIBUTES_MAX: usize = 16;
/// Log lines that are shown with a trace.
const LINES_MAX: usize = 1000;
/// How long after a trace's last span a line may still belong to it, in nanoseconds: clocks differ.
const LINES_AROUND_NS: u64 = 60_000_000_000;

pub(super) async fn list(State(reads): State<Reads>, parameters: Parameters) -> Result<Json<Found>, Problem> {
    let query = query(&parameters)?;
    Ok(Json(reads.read(move |collector| collector.spans().search(&query)).await?))
}

fn query(parameters: &Parameters) -> Result<Query, Problem> {
    parameters.only(&[
        "service",
        "node",
        "operation",
        "status",
        "min_ms",
        "max_ms",
        "start",
        "end",
        "q",
        "attribute",
        "limit",
    ])?;
    let status = match parameters.text("status").as_deref() {
        None => None,
        Some("ok") => Some(Status::Ok),
        Some("error") => Some(Status::Error),
        Some(other) => {
            return Err(Problem::parameter("status", format!("`{other:.64}` is neither ok nor error")));
        }
    };
    let attributes: Vec<(String, String)> =
        parameters.all("attribute").map(attribute).collect::<Result<_, _>>()?;
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(Problem::parameter("attribute", format!("at most {ATTRIBUTES_MAX} are read")));
    }
    let any = Query::default();
    Ok(Query {
        service: parameters.text("service"),
        node: parameters.text("node"),
        operation: parameters.text("operation"),
        attributes,
        text: parameters.text("q"),
        status,
        duration_min_ns: parameters.millis("min_ms")?.unwrap_or(any.duration_min_ns),
        duration_max_ns: parameters.millis("max_ms")?.unwrap_or(any.duration_max_ns),
        start_ns: parameters.time("start")?.unwrap_or(any.start_ns),
        end_ns: parameters.time("end")?.unwrap_or(any.end_ns),
        limit: parameters.limit(LIMIT, LIMIT_MAX)?,
    })
}

fn attribute(text: &str) -> Result<(String, String), Problem> {
    let wrong = || Problem::parameter("attribute", format!("`{text:.64}` is not of the form key=value"));
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) async fn one(
    State(reads): State<Reads>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Trace>, Problem> {
    parameters.only(&[])?;
    let wrong =
        || Problem::parameter("trace_id", format!("`{id:.64}` is no trace id: write 32 hexadecimal digits"));
    let trace_id = read_trace(&id).ok_or_else(wrong)?;
    let found = reads.read(move |collector| {
        let Some(mut trace) = collector.spans().trace(trace_id)? else { return Ok(None) };
        let lines = LogQuery {
            trace: Some(trace_id),
            start_ns: trace.start.saturating_sub(LINES_AROUND_NS),
            end_ns: trace.start.saturating_add(trace.duration_ns).saturating_add(LINES_AROUND_NS),
            limit: LINES_MAX,
            ..LogQuery::default()
        };
        trace.logs = collector.logs().search(&lines)?.logs;
        trace.logs.reverse();
        Ok(Some(trace))
    });
    let missing =
        || Problem::not_found(format!("there is no trace {id}: it was not sampled, or it is too old"));
    found.await?.map(Json).ok_or_else(missing)
}

/// What the search form offers.
#[derive(Serialize)]
pub(super) struct Operations {
    services: Vec<Service>,
}

pub(super) async fn operations(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Operations>, Problem> {
    parameters.only(&[])?;
    let services = reads.read(|collector| collector.spans().services()).await?;
    Ok(Json(Operations { services }))
}
