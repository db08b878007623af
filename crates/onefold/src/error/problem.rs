//! Errors as RFC 9457 has them: `application/problem+json`, with the trace that tells the rest.

use super::Kind;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use onefold_core::TraceContext;
use serde::Serialize;

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// The response of a failure of this kind.
pub(crate) fn problem(kind: Kind, detail: Option<&str>) -> Response {
    let field = match kind {
        Kind::Invalid { field } => Some(field),
        _ => None,
    };
    let mut response = with_status(kind.status(), kind.title(), detail, field);
    if let Some(seconds) = kind.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The problem of a status that no [`Kind`] stands for: axum's own rejections.
pub(crate) fn with_status(
    status: StatusCode,
    title: &str,
    detail: Option<&str>,
    field: Option<&str>,
) -> Response {
    let trace_id = TraceContext::current().map(TraceContext::trace_id);
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail, field, trace_id };
    // A struct of strings and a number always serializes.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
