//! Who a request is: its trace context and its id, taken over from the client or begun here.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use onefold_core::TraceContext;
use onefold_core::header::{REQUEST_ID, TRACEPARENT, is_sane_request_id};
use onefold_core::trace::TRACEPARENT_BYTES;
use rand::RngExt as _;

static TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
static REQUEST_ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);

/// What the node gets and the client gets back, encoded once.
#[derive(Debug)]
pub(super) struct Identity {
    /// The balancer's own span in the request's trace.
    pub(super) trace: TraceContext,
    traceparent: HeaderValue,
    request_id: HeaderValue,
}

impl Identity {
    /// The identity of a request with these header lines.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let parent = headers.get(&TRACEPARENT_NAME).and_then(|value| value.to_str().ok()?.parse().ok());
        let trace = parent.map_or_else(TraceContext::begin, TraceContext::child);
        let kept = headers.get(&REQUEST_ID_NAME).filter(|id| id.to_str().is_ok_and(is_sane_request_id));
        // One allocation for both; slices and clones of it only count.
        let mut both = [0; TRACEPARENT_BYTES + REQUEST_ID_BYTES];
        both[..TRACEPARENT_BYTES].copy_from_slice(&trace.encode());
        if kept.is_none() {
            new_request_id(&mut both[TRACEPARENT_BYTES..]);
        }
        let both = Bytes::from_owner(both);
        let request_id = kept.cloned().unwrap_or_else(|| text(both.slice(TRACEPARENT_BYTES..)));
        Self { trace, traceparent: text(both.slice(..TRACEPARENT_BYTES)), request_id }
    }

    /// Writes it into the header lines of a message.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(&TRACEPARENT_NAME, self.traceparent.clone());
        headers.insert(&REQUEST_ID_NAME, self.request_id.clone());
    }

    /// Writes the context of the span that calls a node, where there is one beside the request's own.
    pub(super) fn write_call(&self, call: Option<TraceContext>, headers: &mut HeaderMap) {
        if let Some(call) = call.filter(|call| *call != self.trace) {
            headers.insert(&TRACEPARENT_NAME, text(Bytes::copy_from_slice(&call.encode())));
        }
    }

    /// The id as a log carries it.
    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// The length of a UUID in its simple form.
const REQUEST_ID_BYTES: usize = uuid::fmt::Simple::LENGTH;

/// Writes a random UUID in its simple form.
fn new_request_id(into: &mut [u8]) {
    let id = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
    id.simple().encode_lower(into);
}

fn text(bytes: Bytes) -> HeaderValue {
    // Hexadecimal digits and hyphens are always legal.
    HeaderValue::from_maybe_shared(bytes).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_sends_is_kept_if_it_is_sane() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("order-7"));
        headers.insert(
            TRACEPARENT,
            HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        );
        let identity = Identity::of(&headers);
        assert_eq!(identity.request_id(), "order-7");
        assert_eq!(identity.trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(identity.trace.span_id(), "b7ad6b7169203331", "a child of the client's span");
    }

    #[test]
    fn what_is_not_sane_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b\"c"));
        headers.insert(TRACEPARENT, HeaderValue::from_static("nonsense"));
        let identity = Identity::of(&headers);
        assert!(identity.request_id().parse::<uuid::Uuid>().is_ok(), "{}", identity.request_id());
        identity.write(&mut headers);
        assert_eq!(headers[TRACEPARENT].as_bytes(), identity.trace.encode());
    }
}
