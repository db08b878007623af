//! What a failure is, as HTTP says it.

use http::StatusCode;

/// What a failure is: it decides what the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// 404: there is no such thing.
    NotFound,
    /// 410: it was there once.
    Gone,
    /// 409: somebody else was first.
    Conflict,
    /// 409 with `retry-after`: an equal request is still at work.
    InProgress,
    /// 400: the request cannot be understood.
    Malformed,
    /// 422: this field does not fit.
    Invalid {
        /// The input's field.
        field: &'static str,
    },
    /// 403: not allowed.
    Forbidden,
    /// 503 with `retry-after`: an engine or node does not answer.
    Unavailable,
    /// 503: it may have been committed, and nobody can tell yet; safe to repeat under an idempotency key.
    OutcomeUnknown,
    /// 504: the deadline has passed.
    Timeout,
    /// 500: a bug, or an error that nobody has classified. Its text stays in the log.
    Internal,
    /// Not a failure: the answer that an earlier, equal request got.
    Answered,
}

impl Kind {
    /// The status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Gone => StatusCode::GONE,
            Self::Conflict | Self::InProgress => StatusCode::CONFLICT,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unavailable | Self::OutcomeUnknown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Answered => StatusCode::OK,
        }
    }

    /// The problem's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::OutcomeUnknown => "Outcome Unknown",
            Self::InProgress => "In Progress",
            kind => kind.status().canonical_reason().unwrap_or("Error"),
        }
    }

    /// After how many seconds a client may try again, where that helps.
    pub(crate) fn retry_after_seconds(self) -> Option<u32> {
        matches!(self, Self::InProgress | Self::Unavailable).then_some(1)
    }
}
