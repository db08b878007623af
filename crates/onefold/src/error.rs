//! The error that handlers and jobs return: what the client sees is decided by its kind, what the log sees by
//! its source.

mod classify;
mod kind;
mod problem;

pub use kind::Kind;
pub(crate) use problem::{problem, with_status};

use axum::response::{IntoResponse, Response};
use std::error::Error as StdError;
use std::fmt;

/// What handlers and jobs return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// A failure with its [`Kind`]. Any error converts into it by `?`: one of a tier finds its kind by itself (no
/// row is `NotFound`, a unique violation is `Conflict`, a dead engine is `Unavailable`), any other is
/// `Internal`, whose text only the log sees.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    /// For the client.
    detail: Option<String>,
    /// For the log.
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// The stored first answer to a repeated request; it ends the handler like an error, and is none.
    answer: Option<Response>,
}

impl Error {
    /// An error of this kind, whose detail the client may read.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self::build(kind, Some(detail.into()), None, None)
    }

    /// There is no such thing.
    pub fn not_found() -> Self {
        Self::build(Kind::NotFound, None, None, None)
    }

    /// It was there once, and will not come back.
    pub fn gone() -> Self {
        Self::build(Kind::Gone, None, None, None)
    }

    /// Somebody else was first.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// The input's `field` does not fit; `detail` says what would.
    pub fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid { field }, detail)
    }

    /// Ends a handler with the answer that an earlier, equal request got.
    pub(crate) fn answered(answer: Response) -> Self {
        Self::build(Kind::Answered, None, None, Some(answer))
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The error that it came from, if it is one of these.
    pub(crate) fn source<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.as_deref()?.downcast_ref()
    }

    /// What went wrong, for an operator, whom the kind that clients see only puzzles.
    pub(crate) fn cause(&self) -> String {
        self.chain().unwrap_or_else(|| self.to_string())
    }

    fn build(
        kind: Kind,
        detail: Option<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
        answer: Option<Response>,
    ) -> Self {
        Self(Box::new(Inner { kind, detail, source, answer }))
    }

    /// Its source's whole chain, for the log.
    fn chain(&self) -> Option<String> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(self.0.source.as_deref()?);
        let mut chain = Vec::new();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        Some(chain.join(": "))
    }
}

impl<E> From<E> for Error
where
    E: StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        let (kind, detail) = classify::classify(&error);
        Self::build(kind, detail, Some(Box::new(error)), None)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.detail.as_deref().unwrap_or(self.0.kind.title()))?;
        self.chain().map_or(Ok(()), |chain| write!(f, ": {chain}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(answer) = self.0.answer {
            return answer;
        }
        let chain = self.chain();
        match self.0.kind {
            Kind::Internal => tracing::error!(error = chain, detail = self.0.detail, "the handler failed"),
            kind if kind.status().is_server_error() => {
                tracing::warn!(error = chain, detail = self.0.detail, error.type = kind.title(), "the handler could not answer");
            }
            _ => {}
        }
        problem(self.0.kind, self.0.detail.as_deref())
    }
}
