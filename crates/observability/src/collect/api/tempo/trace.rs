//! A whole trace, as OTLP: in protobuf where that is asked for, else in JSON.

use super::otlp;
use super::{Problem, Reads};
use crate::collect::api::Parameters;
use crate::otlp::trace::TracesData;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde_json::{Value, json};

const PROTOBUF: &str = "application/protobuf";

/// The second API's envelope.
#[derive(Clone, PartialEq, Message)]
struct TraceByIdResponse {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<TraceByIdMetrics>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct TraceByIdMetrics {
    #[prost(uint64, tag = "1")]
    inspected_bytes: u64,
}

pub(super) async fn first(
    State(reads): State<Reads>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let traces = read(&reads, &id).await?;
    // The message of one field is the trace itself; its JSON has kept that field's first name.
    Ok(answer(&headers, &traces, || json!({ "batches": otlp::to_json(&traces) })))
}

pub(super) async fn second(
    State(reads): State<Reads>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(filter) = parameters.text("q").filter(|filter| filter.trim() != "{}") {
        return Err(Problem::parameter(
            "q",
            format!("`{filter:.64}` is not understood: a trace is shown whole"),
        ));
    }
    let trace = Some(read(&reads, &id).await?);
    let message = TraceByIdResponse { trace, metrics: Some(TraceByIdMetrics::default()) };
    let json = || {
        let spans = message.trace.as_ref().map_or(Value::Null, otlp::to_json);
        json!({ "trace": { "resourceSpans": spans }, "metrics": {} })
    };
    Ok(answer(&headers, &message, json))
}

async fn read(reads: &Reads, id: &str) -> Result<TracesData, Problem> {
    let trace_id = (1..=32).contains(&id.len()).then(|| u128::from_str_radix(id, 16).ok()).flatten();
    let wrong =
        || Problem::parameter("trace_id", format!("`{id:.64}` is no trace id: write 32 hexadecimal digits"));
    let trace_id = trace_id.filter(|_| !id.starts_with('+')).ok_or_else(wrong)?;
    let found =
        reads.read(move |collector| Ok(collector.spans().trace(trace_id)?.map(|trace| otlp::of(&trace))));
    let missing =
        || Problem::not_found(format!("there is no trace {id}: it was not sampled, or it is too old"));
    found.await?.ok_or_else(missing)
}

fn answer(headers: &HeaderMap, message: &impl Message, json: impl FnOnce() -> Value) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(PROTOBUF)) {
        return ([(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response();
    }
    Json(json()).into_response()
}
