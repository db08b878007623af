//! What is put on a response, and into which form a failure is brought.

use super::{Edge, rejected};
use crate::error::with_status;
use axum::body::{HttpBody as _, to_bytes};
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use onefold_core::{TraceContext, header as ours};

/// An axum rejection's text is short; what is longer is an application's own page.
const REJECTION_BYTES_MAX: u64 = 4096;

/// Puts the request's id, its trace and the node on the response.
pub(super) fn complete(response: &mut Response, edge: &Edge, request_id: &HeaderValue, trace: TraceContext) {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(ours::REQUEST_ID), request_id.clone());
    let traceparent = HeaderValue::try_from(trace.to_string()).expect("hexadecimal is a header value");
    headers.insert(HeaderName::from_static(ours::TRACEPARENT), traceparent);
    if let Some(served_by) = &edge.served_by {
        headers.insert(HeaderName::from_static(ours::SERVED_BY), served_by.clone());
    }
}

/// Hands the session's token to the client: as a header, and as a cookie to those that sent no header.
pub(super) fn hand_out(response: &mut Response, token: &str, carries_header: bool) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(token) {
        headers.insert(HeaderName::from_static(ours::SESSION), value);
    }
    let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Lax", ours::SESSION_COOKIE);
    if !carries_header && let Ok(value) = HeaderValue::try_from(cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Brings a rejection of axum's own, which is plain text, into the form that all errors have. Other bodies are
/// the application's, and stay.
pub(crate) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_short = response.body().size_hint().upper().is_some_and(|bytes| bytes <= REJECTION_BYTES_MAX);
    if !is_failure || !is_short || !content_type.is_none_or(|kind| kind.starts_with("text/plain")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    // What is in memory already cannot fail to be read.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // What a server error says is for the log.
    let detail = std::str::from_utf8(&body).ok().filter(|text| status.is_client_error() && !text.is_empty());
    let field = detail.and_then(rejected::field);
    let title = status.canonical_reason().unwrap_or("Error");
    let mut response = with_status(status, title, detail, field.as_deref());
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use http::StatusCode;

    #[tokio::test]
    async fn plain_failures_become_problems_and_everything_else_stays() {
        let problem = as_problem((StatusCode::BAD_REQUEST, "missing `url`").into_response()).await;
        assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(problem.into_body(), 4096).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("missing `url`"));

        let hidden = as_problem((StatusCode::INTERNAL_SERVER_ERROR, "secret").into_response()).await;
        let body = to_bytes(hidden.into_body(), 4096).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));

        let page = (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html")], "<h1>").into_response();
        assert_eq!(as_problem(page).await.headers()[header::CONTENT_TYPE], "text/html");
        assert_eq!(as_problem("fine".into_response()).await.status(), StatusCode::OK);
    }
}
