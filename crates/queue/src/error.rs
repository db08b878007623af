//! What can go wrong between a producer, the engine and a worker.

use onefold_core::{Class, Classified};

/// Why the queue could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody registered this kind, so no worker of this build would run it.
    #[error("unknown job kind `{0}`: register it on the App before enqueueing it")]
    UnknownKind(String),
    /// The kind is registered already.
    #[error("job kind `{0}` is registered twice")]
    DuplicateKind(String),
    /// Arguments that cannot be written as JSON.
    #[error("write the arguments of `{kind}` as JSON")]
    Arguments {
        /// The job's kind.
        kind: String,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A limit is exceeded.
    #[error("{what} is {size}, more than the limit of {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A name with a NUL, which no engine stores.
    #[error("{0} holds a NUL character")]
    Nul(&'static str),
    /// A cron expression that cannot be read.
    #[error("schedule `{name}`: `{expression}` is no cron expression: {reason}")]
    InvalidSchedule {
        /// The schedule's name.
        name: String,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The job belongs to somebody else by now: a rescue took it.
    #[error("job {0} was taken over by a rescue")]
    Lost(crate::JobId),
    /// `once` was asked twice within one attempt.
    #[error("once was called twice in one attempt of job {0}")]
    OnceTwice(crate::JobId),
    /// The engine that carries the jobs does not answer as it should; asking again may help. Where it is says the
    /// address, without what is secret in it.
    #[error("queue: {engine} at {address}: {problem}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// Where it is.
        address: String,
        /// What it said, or that it said nothing.
        problem: String,
    },
    /// The engine that carries the jobs cannot be used like this, however often it is asked.
    #[error("queue: {engine} at {address}: {problem}; {fix}")]
    Unusable {
        /// Which engine.
        engine: &'static str,
        /// Where it is.
        address: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        fix: String,
    },
    /// The database tier failed.
    #[error(transparent)]
    Database(#[from] onefold_database::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::UnknownKind(_)
            | Self::Arguments { .. }
            | Self::TooLarge { .. }
            | Self::Nul(_)
            | Self::Unusable { .. }
            | Self::InvalidSchedule { .. } => Class::Permanent,
            Self::DuplicateKind(_) | Self::OnceTwice(_) => Class::Bug,
            Self::Lost(_) => Class::LeaseLost,
            Self::Engine { .. } => Class::Transient,
            Self::Database(error) => error.class(),
        }
    }
}
