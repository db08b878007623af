//! The read part of Tempo's HTTP API under `/tempo`, so that Grafana can use the observer as a data source of traces:
//! the same paths, parameters and answers, over the same store as `/api/traces`.
//!
//! Of `TraceQL` one `{ … }` of conditions joined by `&&` is understood, and the rest is refused by name. Parameters
//! that Tempo has and that change nothing here are passed over.

mod filter;
mod logfmt;
mod otlp;
mod search;
mod tags;
mod trace;
mod traceql;

use super::{Problem, Reads};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

pub(super) fn router() -> Router<Reads> {
    Router::new()
        .route("/tempo/api/traces/{trace_id}", get(trace::first))
        .route("/tempo/api/v2/traces/{trace_id}", get(trace::second))
        .route("/tempo/api/search", get(search::search))
        .route("/tempo/api/search/tags", get(tags::names))
        .route("/tempo/api/v2/search/tags", get(tags::names_by_scope))
        .route("/tempo/api/search/tag/{tag}/values", get(tags::values))
        .route("/tempo/api/v2/search/tag/{tag}/values", get(tags::typed_values))
        .route("/tempo/api/echo", get(async || "echo"))
        .route("/tempo/ready", get(async || "ready"))
        .route("/tempo/api/status/buildinfo", get(build))
}

/// The version is that of Tempo whose API this follows: from 2.2 on clients may ask for streams by gRPC.
async fn build() -> Json<Value> {
    Json(super::build("2.1.0"))
}

#[cfg(test)]
mod tests;
