//! What may be tried again.
//!
//! A request that was provably not sent may, whatever its method. One that was sent may only if doing it twice is
//! the same as doing it once, if its body can be sent again, and before the first byte of an answer. A 503 is
//! the node's answer, not a failure to get one, and is passed on, with two exceptions: a node that also closes the
//! connection is leaving, and another can do the work; and one that marks its 503 as a refusal is full and has done
//! nothing, so that one other node is asked which has not said the same a moment ago. A 502 or 504 comes from behind the
//! node and is passed on.
//!
//! All retries draw on one budget, so that a system in trouble is not pushed over by them.

use http::header::{CONNECTION, HeaderMap};
use http::{Method, StatusCode};
use onefold_core::header::{IDEMPOTENCY_KEY, REFUSED};

/// Why a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The endpoint could not be connected to.
    Connect,
    /// The connection closed before the request was written: it came back untouched.
    Unsent,
    /// The connection failed after the request was written.
    Reset,
    /// The node is leaving.
    Draining,
    /// The node is full, and has done nothing.
    Refused,
    /// The node has fallen silent while others answer.
    Silent,
}

impl Reason {
    pub(crate) const ALL: [Self; 6] =
        [Self::Connect, Self::Unsent, Self::Reset, Self::Draining, Self::Refused, Self::Silent];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Unsent => "unsent",
            Self::Reset => "reset",
            Self::Draining => "draining",
            Self::Refused => "refused",
            Self::Silent => "silent",
        }
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0)
    }

    /// Whether nothing of the request has left.
    pub(crate) fn is_unsent(self) -> bool {
        matches!(self, Self::Connect | Self::Unsent)
    }

    /// Whether nothing was done for the request.
    fn is_undone(self) -> bool {
        self.is_unsent() || self == Self::Refused
    }
}

/// What is known of a request whose try has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) is_idempotent: bool,
    /// Whether its body can be sent once more, from the first byte.
    pub(crate) is_replayable: bool,
    pub(crate) retries: u8,
    pub(crate) retries_max: u8,
}

/// Whether it may be tried again, the budget aside.
pub(crate) fn may_retry(reason: Reason, case: Case) -> bool {
    case.retries < case.retries_max && case.is_replayable && (reason.is_undone() || case.is_idempotent)
}

/// Whether a request does the same when it is done twice: by its method (RFC 9110, 9.2.2), or because its key
/// makes the nodes answer a repetition with the first answer.
pub(crate) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
        || headers.contains_key(IDEMPOTENCY_KEY)
}

/// Whether the answer is a leaving node's.
pub(crate) fn is_draining(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE && closes(headers)
}

/// Whether the answer is a full node's, which has done nothing.
pub(crate) fn is_refused(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(REFUSED)
}

/// Whether the connection closes behind the message.
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| {
        value.as_bytes().split(|b| *b == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// Whether an answer says that the node, not the request, is at fault. A 504 says so only where the time limit
/// was ours: a client that allows one millisecond must not eject anybody. A 500 never does, since one request
/// that meets a bug could.
pub(crate) fn is_failure(status: StatusCode, is_client_deadline: bool) -> bool {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => true,
        StatusCode::GATEWAY_TIMEOUT => !is_client_deadline,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use onefold_core::Clock;
    use onefold_core::retry::RetryBudget;
    use proptest::prelude::*;
    use std::time::Duration;

    const FIRST: Case = Case { is_idempotent: true, is_replayable: true, retries: 0, retries_max: 2 };

    #[test]
    fn what_was_sent_is_repeated_only_if_that_changes_nothing() {
        let post = Case { is_idempotent: false, ..FIRST };
        assert!(may_retry(Reason::Unsent, post) && may_retry(Reason::Connect, post));
        assert!(!may_retry(Reason::Reset, post) && !may_retry(Reason::Draining, post));
        assert!(may_retry(Reason::Refused, post), "nothing was done");
        assert!(may_retry(Reason::Reset, FIRST) && may_retry(Reason::Draining, FIRST));
        let large = Case { is_replayable: false, ..FIRST };
        assert!(!may_retry(Reason::Reset, large));
        assert!(!may_retry(Reason::Unsent, Case { retries: 2, ..FIRST }));
    }

    #[test]
    fn a_post_is_idempotent_under_a_key() {
        let mut headers = HeaderMap::new();
        assert!(!is_idempotent(&Method::POST, &headers) && !is_idempotent(&Method::PATCH, &headers));
        assert!(is_idempotent(&Method::DELETE, &headers));
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("k"));
        assert!(is_idempotent(&Method::POST, &headers));
    }

    #[test]
    fn only_a_503_that_closes_is_a_leaving_node() {
        let mut headers = HeaderMap::new();
        assert!(!is_draining(StatusCode::SERVICE_UNAVAILABLE, &headers));
        headers.insert(CONNECTION, HeaderValue::from_static("x-thing, Close"));
        assert!(is_draining(StatusCode::SERVICE_UNAVAILABLE, &headers));
        assert!(!is_draining(StatusCode::OK, &headers));
        assert!(
            !is_failure(StatusCode::GATEWAY_TIMEOUT, true) && is_failure(StatusCode::GATEWAY_TIMEOUT, false)
        );
        assert!(
            !is_failure(StatusCode::INTERNAL_SERVER_ERROR, false)
                && !is_failure(StatusCode::NOT_FOUND, false)
        );
    }

    proptest! {
        #[test]
        fn retries_stay_a_share_of_the_requests(seconds in 1_u32..30, per_second in 1_u32..200) {
            let clock = Clock::manual();
            let budget = RetryBudget::new(0.2, 10.0, clock.now());
            let (mut requests, mut granted) = (0_u32, 0_u32);
            for _ in 0..seconds {
                for _ in 0..per_second {
                    budget.deposit(clock.now());
                    requests += 1;
                    // Everything fails: each request asks for two retries.
                    granted += (0..2).map(|_| u32::from(budget.withdraw(clock.now()))).sum::<u32>();
                }
                clock.advance(Duration::from_secs(1));
            }
            prop_assert!(f64::from(granted) <= f64::from(requests) * 0.2 + f64::from(seconds) * 10.0 + 1.0);
        }
    }
}
