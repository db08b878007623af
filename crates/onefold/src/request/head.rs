//! What a request's head says beyond HTTP itself.

use crate::node::Node;
use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use onefold_core::deadline::parse_duration;
use onefold_core::{TraceContext, header};
use onefold_database::idempotency::Claim;
use onefold_database::{InvalidLevel, Keys, Read, Session};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How many tokens of one request are looked at: an API client may hold several.
const TOKENS_MAX: usize = 8;

/// Everything that extractors need of the request; stands in its extensions.
#[derive(Clone)]
pub(crate) struct RequestContext {
    pub(crate) node: Arc<Node>,
    pub(crate) session: Session,
    pub(crate) asked: Option<Read>,
    pub(crate) client: Option<String>,
    pub(crate) request_id: Uuid,
    pub(crate) claim: Option<Claim>,
}

/// The span of this node in the request's trace; the root, if nobody has begun it.
pub(super) fn trace(headers: &HeaderMap) -> TraceContext {
    let parent = text(headers, header::TRACEPARENT).and_then(|parent| parent.parse::<TraceContext>().ok());
    parent.map_or_else(TraceContext::begin, TraceContext::child)
}

/// The client's request id where it is sane, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = headers.get(header::REQUEST_ID).filter(|id| id.to_str().is_ok_and(header::is_sane_request_id));
    sane.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(Uuid::now_v7().to_string()).expect("a UUID is a header value")
    })
}

/// A request id as a UUID: itself, or one derived from the text, so that a repeated id is the same again.
pub(super) fn uuid_of(request_id: &HeaderValue) -> Uuid {
    let text = request_id.to_str().unwrap_or_default();
    text.parse().unwrap_or_else(|_| {
        let digest = Sha256::digest(text.as_bytes());
        let bytes = std::array::from_fn(|i| digest[i]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    })
}

/// The caller's remaining time, at most the node's own limit.
pub(super) fn timeout(headers: &HeaderMap, limit: Duration) -> Duration {
    let asked = text(headers, header::TIMEOUT).and_then(|timeout| parse_duration(timeout).ok());
    asked.map_or(limit, |asked| asked.min(limit))
}

/// The level that the client asks for.
pub(super) fn level(headers: &HeaderMap) -> Result<Option<Read>, InvalidLevel> {
    text(headers, header::CONSISTENCY).map(str::parse).transpose()
}

/// The session that the client's tokens continue: headers for API clients, the cookie for browsers.
pub(super) fn session(headers: &HeaderMap, keys: &Keys) -> Session {
    let in_headers = headers.get_all(header::SESSION).iter().filter_map(|value| value.to_str().ok());
    let tokens = in_headers.flat_map(|value| value.split(',')).map(str::trim);
    let cookies = headers.get_all(http::header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookie = cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == header::SESSION_COOKIE).then_some(value)
    });
    Session::resume(tokens.chain(cookie).take(TOKENS_MAX), keys)
}

/// The client's address: as the balancer tells it, else the peer's.
pub(super) fn address(parts: &Parts) -> Option<String> {
    let forwarded = text(&parts.headers, "x-forwarded-for").and_then(|list| list.split(',').next());
    let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
    forwarded.map(|address| address.trim().to_owned()).or_else(peer)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_request_id_is_kept_if_sane_and_made_if_not() {
        assert_eq!(request_id(&headers(&[("x-request-id", "abc-1")])), "abc-1");
        for absurd in ["", "a b", &"x".repeat(129)] {
            assert_ne!(request_id(&headers(&[("x-request-id", absurd)])), absurd);
        }
        let id = Uuid::now_v7();
        assert_eq!(uuid_of(&HeaderValue::try_from(id.to_string()).unwrap()), id);
        assert_eq!(uuid_of(&HeaderValue::from_static("abc")), uuid_of(&HeaderValue::from_static("abc")));
    }

    #[test]
    fn a_client_may_shorten_the_timeout_but_not_lengthen_it() {
        let limit = Duration::from_secs(30);
        assert_eq!(timeout(&headers(&[("onefold-timeout", "250ms")]), limit), Duration::from_millis(250));
        assert_eq!(timeout(&headers(&[("onefold-timeout", "1h")]), limit), limit);
        assert_eq!(timeout(&headers(&[("onefold-timeout", "soon")]), limit), limit);
    }

    #[test]
    fn the_highest_of_several_tokens_counts_wherever_it_stands() {
        let keys = Keys::new(Uuid::from_u128(1), [1; 32]);
        let token = |lsn| {
            let lsn = onefold_core::Lsn(lsn);
            onefold_database::Token { cluster: keys.cluster(), timeline: 1, lsn, confirmed: true }
        };
        let (low, high) = (keys.sign(&token(5)), keys.sign(&token(9)));
        let resumed = session(&headers(&[("onefold-session", &format!("{low}, {high}"))]), &keys);
        assert_eq!(resumed.token(), Some(token(9)));
        let resumed = session(&headers(&[("cookie", &format!("a=b; onefold_session={low}"))]), &keys);
        assert_eq!(resumed.token(), Some(token(5)));
    }
}
