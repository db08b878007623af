//! Refusals as `application/problem+json` (RFC 9457).

use crate::collect::Error;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    parameter: Option<String>,
}

impl Problem {
    /// A parameter is wrong: what is wrong with it, and what would be right.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let name: String = name.chars().take(64).collect();
        Self {
            status: StatusCode::BAD_REQUEST,
            detail: format!("{name}: {}", detail.into()),
            parameter: Some(name),
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail: detail.into(), parameter: None }
    }

    /// For what is wrong with the store, and not with the question; the caller has logged it.
    pub(super) fn unreadable() -> Self {
        let detail = "the store cannot be read; the observer's log says why".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail, parameter: None }
    }

    pub(super) fn stopped() -> Self {
        let detail = "the store has stopped".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail, parameter: None }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, source, "the store cannot be read");
        Self::unreadable()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("refused");
        let mut body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        if let Some(parameter) = self.parameter {
            body["parameter"] = parameter.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
