//! The answer of a node that is full.

use super::desk::Reason;
use crate::error::with_status;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use onefold_core::header::REFUSED;
use rand::RngExt as _;

/// After how many seconds a client may come back. Drawn, or all that were refused at once would come back at once.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u32> = 1..=3;

/// 503, marked as a refusal: nothing was done, so that a balancer may ask another node whatever the method.
pub(crate) fn refusal(reason: Reason) -> Response {
    let detail = "this node has more to do than it can; come back later";
    let mut response =
        with_status(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", Some(detail), None);
    let seconds = rand::rng().random_range(RETRY_AFTER_SECONDS);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    headers.insert(HeaderName::from_static(REFUSED), HeaderValue::from_static(reason.as_str()));
    response
}
