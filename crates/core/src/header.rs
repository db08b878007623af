//! Names of the HTTP headers that balancer, nodes and clients agree on.

/// The caller's remaining time, as `250ms`.
pub const TIMEOUT: &str = "onefold-timeout";
/// The read-your-writes token.
pub const SESSION: &str = "onefold-session";
/// The cookie that carries the token for browsers.
pub const SESSION_COOKIE: &str = "onefold_session";
/// The consistency level that the caller asks for.
pub const CONSISTENCY: &str = "onefold-consistency";
/// The node that answered, as `app-a;zone=a`.
pub const SERVED_BY: &str = "onefold-served-by";
/// The request's id: kept if sane, made if absent.
pub const REQUEST_ID: &str = "x-request-id";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace state, passed on untouched.
pub const TRACESTATE: &str = "tracestate";
/// The key under which a repeated request gets the first answer.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// On a node's 503: it was refused before anything was done for it, and why. Another node may be asked, whatever the
/// method.
pub const REFUSED: &str = "onefold-refused";

/// The longest request id that is kept, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Whether a caller's request id may be kept: short, and safe in a log line.
pub fn is_sane_request_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= REQUEST_ID_BYTES_MAX
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}
