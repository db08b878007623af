//! Prometheus' envelope: `{"status": "success", "data": …}`, or an error with its type.

use crate::collect::promql::Error;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// Data that was asked for.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Success<T> {
            status: &'static str,
            data: T,
        }
        Json(Success { status: "success", data: self.0 }).into_response()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    error: String,
}

impl Refusal {
    pub(super) fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            error: format!("invalid parameter \"{name}\": {problem}"),
        }
    }

    pub(super) fn stopped() -> Self {
        let error = "the store of samples has stopped".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", error }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, kind) = match &error {
            Error::Invalid { .. } => return Self::parameter("query", error),
            Error::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Error::Store(_) => {
                tracing::error!(%error, "the store cannot be read");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        Self { status, kind, error: error.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.error});
        (self.status, Json(body)).into_response()
    }
}
