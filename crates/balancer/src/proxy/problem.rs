//! The balancer's own answers: `application/problem+json` (RFC 9457) with the trace's id and nothing internal.

use crate::hygiene::Refusal;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use onefold_core::TraceContext;

/// Why a request gets no answer of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Its form or size.
    Refused(Refusal),
    /// Its `onefold-timeout` cannot be read.
    Timeout,
    /// Its client sends too many; it may again after so many seconds.
    RateLimited(u64),
    /// There is no node.
    NoEndpoint,
    /// Every node in question has a full line, or its turn did not come in time.
    Overloaded,
    /// No node could be connected to.
    Unreachable,
    /// The node's connection failed, and the request may not be repeated.
    Broken,
    /// Nobody waits any more.
    Late,
}

/// After how many seconds a client may try again. Short: a queue empties and a node returns within seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

impl Problem {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Timeout => StatusCode::BAD_REQUEST,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoEndpoint | Self::Overloaded | Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.detail(),
            Self::Timeout => "onefold-timeout is no duration: write a whole number and us, ms, s, m or h",
            Self::RateLimited(_) => "too many requests from this client",
            Self::NoEndpoint => "no node is ready to answer",
            Self::Overloaded => "all nodes are busy",
            Self::Unreachable => "no node could be reached",
            Self::Broken => "the node's answer was lost",
            Self::Late => "the answer did not come in time",
        }
    }

    /// The body, and the header lines that go with it.
    pub(super) fn render(self, trace: TraceContext, headers: &mut HeaderMap) -> Bytes {
        let status = self.status();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Refused(Refusal::Method) => {
                let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
                headers.insert(ALLOW, allowed);
            }
            Self::RateLimited(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::NoEndpoint | Self::Overloaded | Self::Unreachable => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        // None of the texts holds what JSON would want escaped.
        let body = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}","trace_id":"{}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
            self.detail(),
            trace.trace_id(),
        );
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_json_with_the_trace() {
        let own = [Problem::Timeout, Problem::RateLimited(3), Problem::NoEndpoint, Problem::Late];
        let problems = Refusal::ALL.iter().map(|refusal| Problem::Refused(*refusal)).chain(own);
        for problem in problems {
            let trace = TraceContext::root(true);
            let mut headers = HeaderMap::new();
            let body: serde_json::Value =
                serde_json::from_slice(&problem.render(trace, &mut headers)).unwrap();
            assert_eq!(body["status"], problem.status().as_u16());
            assert_eq!(body["trace_id"], trace.trace_id());
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
    }
}
