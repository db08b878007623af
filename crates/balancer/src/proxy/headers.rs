//! The header lines that are changed on the way: hop-by-hop ones end here, forwarding ones are ours.

use super::Connection;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::SizeHint;
use onefold_core::header;
use std::net::IpAddr;

pub(super) static TIMEOUT_NAME: HeaderName = HeaderName::from_static(header::TIMEOUT);
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
static PROTO_HTTP: HeaderValue = HeaderValue::from_static("http");

/// What is added at most: three that forward, the trace, the request's id, the time that is left, the framing.
const ADDED_LINES: usize = 7;

/// Takes from a client's header lines what does not go on.
pub(super) fn strip_request(headers: &mut HeaderMap, connection: &Connection) {
    let is_trusted = connection.is_trusted;
    strip(headers, |name| {
        is_hop_by_hop(name) || name == "expect" || is_internal(name) || (!is_trusted && is_forwarding(name))
    });
}

/// Adds to a client's header lines what a node needs to know. `body` is how long its body is, as far as that is
/// known.
pub(super) fn dress_request(headers: &mut HeaderMap, body: &SizeHint, connection: &Connection) {
    headers.reserve(ADDED_LINES);
    if body.exact().is_none() {
        // Said by us, or a GET, which hardly ever has a body, would lose it.
        headers.insert(TRANSFER_ENCODING, CHUNKED.clone());
    }
    forward(headers, connection);
}

/// Prepares a node's header lines for the client.
pub(super) fn prepare_response(headers: &mut HeaderMap) {
    strip(headers, is_hop_by_hop);
}

/// The client behind a trusted peer: the last address in `X-Forwarded-For` that `is_trusted` does not hold for,
/// since everything before it is what that client says.
pub(super) fn client_behind(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let lines = headers.get_all(&FORWARDED_FOR).iter().rev();
    let addresses = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
    addresses.map_while(|address| address.trim().parse().ok()).find(|address| !is_trusted(*address))
}

fn strip(headers: &mut HeaderMap, is_doomed: impl Fn(&str) -> bool) {
    // Most messages have none: then nothing is allocated.
    let mut doomed: Vec<HeaderName> =
        headers.keys().filter(|name| is_doomed(name.as_str())).cloned().collect();
    for line in headers.get_all(CONNECTION) {
        let tokens = line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
        let nominated = tokens.filter_map(|token| HeaderName::from_bytes(token).ok());
        // A sender must not nominate these (RFC 9110, 7.6.1); without them the message would be another one.
        doomed.extend(nominated.filter(|name| *name != HOST && *name != CONTENT_LENGTH));
    }
    for name in doomed {
        headers.remove(name);
    }
}

fn forward(headers: &mut HeaderMap, connection: &Connection) {
    let peer = &connection.forwarded_for;
    // What came with the request is only left where its peer is trusted.
    let forwarded_for = if headers.contains_key(&FORWARDED_FOR) { appended(headers, peer) } else { None };
    headers.insert(&FORWARDED_FOR, forwarded_for.unwrap_or_else(|| peer.clone()));
    if !headers.contains_key(&FORWARDED_PROTO) {
        headers.insert(&FORWARDED_PROTO, PROTO_HTTP.clone());
    }
    if !headers.contains_key(&FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(&FORWARDED_HOST, host);
    }
}

fn appended(headers: &HeaderMap, peer: &HeaderValue) -> Option<HeaderValue> {
    let mut line = Vec::new();
    for value in headers.get_all(&FORWARDED_FOR) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(peer.as_bytes());
    HeaderValue::from_bytes(&line).ok()
}

/// Those of RFC 9110, 7.6.1, and the older ones that are treated as such.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Those that say who the client is: a client could say anything.
fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

/// Our own that no client sends.
fn is_internal(name: &str) -> bool {
    name.starts_with("onefold-") && !matches!(name, header::TIMEOUT | header::SESSION | header::CONSISTENCY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn hop_by_hop_lines_and_those_that_connection_names_end_here() {
        let mut map = headers(&[
            ("connection", "x-secret, keep-alive"),
            ("connection", "X-Other, host"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("upgrade", "websocket"),
            ("host", "a"),
            ("cookie", "b"),
        ]);
        prepare_response(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cookie", "host"]);
    }

    #[test]
    fn the_client_is_the_last_that_no_trusted_peer_vouches_for() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let map =
            headers(&[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2"), ("x-forwarded-for", "10.0.0.1")]);
        assert_eq!(client_behind(&map, trusted), "1.2.3.4".parse().ok());
        assert_eq!(client_behind(&headers(&[("x-forwarded-for", "junk, 10.0.0.1")]), trusted), None);
        assert!(
            is_internal("onefold-served-by") && !is_internal("onefold-timeout") && !is_internal("x-onefold")
        );
    }
}
