//! What can go wrong between a caller and its database, and what the caller can do about it.

use crate::migrate::SchemaMismatch;
use crate::tls;
use onefold_core::tls::Refused;
use onefold_core::topology::Faults;
use onefold_core::{Class, Classified};
use std::time::Duration;
use tokio_postgres::error::{DbError, SqlState};

/// A failure of this tier.
///
/// It never repeats a bind value: of Postgres' own errors it shows code and message, not the detail, which
/// quotes rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot work.
    #[error("unusable configuration: {0}")]
    Config(Faults),
    /// No server that may answer is there.
    #[error("no {0} answers")]
    Unavailable(&'static str),
    /// No primary is found, and so say the servers that do not answer.
    #[error("no primary answers ({0})")]
    NoPrimary(String),
    /// The servers are there and refuse this account or database: asking again changes nothing.
    #[error("the database refuses ({0})")]
    Refused(String),
    /// Connections to this address are lent one backend after the other.
    #[error(
        "a transaction pooler stands before it: name the server itself in database.direct_url, or have it pool sessions"
    )]
    Pooled,
    /// The deadline passed first. A write whose COMMIT had been sent answers [`Error::MaybeCommitted`] instead.
    #[error("the deadline passed")]
    Timeout,
    /// All exclusive connections of this node are in use.
    #[error("all {0} exclusive connections are in use")]
    Exhausted(usize),
    /// The COMMIT was sent and its outcome is not known: it may be durable, visible and replicated, or none of it.
    #[error("the commit's outcome is not known")]
    MaybeCommitted,
    /// An earlier statement failed, so nothing of the transaction was committed.
    #[error("the transaction was aborted by an earlier error")]
    Aborted,
    /// One row was asked for, and there is none.
    #[error("no row")]
    NoRow,
    /// At most one row was asked for, and there are more.
    #[error("more than one row")]
    ManyRows,
    /// Another request with the same idempotency key is still at work.
    #[error("a request with the same idempotency key is at work")]
    KeyBusy {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The idempotency key was used before, for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The schema is not the one that this build works with.
    #[error(transparent)]
    Schema(#[from] SchemaMismatch),
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
    /// Postgres or the connection to it says no.
    #[error("{}", describe(.0))]
    Database(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl Error {
    /// What went wrong, in a word for metrics and spans: Postgres' code where it answered.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Database(_) => self.code().map_or("connection", SqlState::code),
            Self::Timeout => "deadline",
            Self::Exhausted(_) => "exhausted",
            Self::MaybeCommitted => "maybe committed",
            Self::Aborted => "aborted",
            Self::Unavailable(_) | Self::NoPrimary(_) | Self::Refused(_) => "unavailable",
            _ => "other",
        }
    }

    /// Postgres' code, where Postgres itself answered.
    pub fn code(&self) -> Option<&SqlState> {
        self.db_error().map(DbError::code)
    }

    /// The constraint that was violated.
    pub fn constraint(&self) -> Option<&str> {
        self.db_error().and_then(DbError::constraint)
    }

    fn db_error(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => error.as_db_error(),
            _ => None,
        }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Unavailable(_) | Self::NoPrimary(_) | Self::Timeout | Self::Exhausted(_) => {
                Class::Transient
            }
            Self::MaybeCommitted => Class::Unknown,
            Self::KeyBusy { .. } => Class::Conflict,
            Self::Database(error) => class_of(error),
            Self::Aborted => Class::Bug,
            _ => Class::Permanent,
        }
    }
}

fn class_of(error: &tokio_postgres::Error) -> Class {
    if let Some(refused) = tls::refused(error) {
        return if matches!(refused, Refused::Broken(_)) { Class::Transient } else { Class::Permanent };
    }
    if lacks_tls(error) || tls::alert(error).is_some() {
        return Class::Permanent;
    }
    let Some(code) = error.code() else {
        return if is_io(error) { Class::Transient } else { Class::Bug };
    };
    match code.code() {
        "23505" | "23P01" | "40001" | "40P01" | "55P03" => Class::Conflict,
        "25006" | "53300" | "57014" => Class::Transient,
        code if code.starts_with("08") || code.starts_with("57P0") => Class::Transient,
        _ => Class::Permanent,
    }
}

/// Whether the connection itself is gone, rather than a statement refused.
pub(crate) fn is_io(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// Whether the server says that it has no TLS. The library has no kind for that.
fn lacks_tls(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.to_string() == "server does not support TLS")
}

fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(refused) = tls::refused(error) {
        return format!("it {refused}");
    }
    if let Some(alert) = tls::alert(error) {
        return format!(
            "it does not take this node's certificate ({alert}): name one that its authority issued in sslcert and sslkey"
        );
    }
    if lacks_tls(error) {
        return "it speaks no TLS: set `ssl = on` there, or write sslmode=disable where the network between is trusted"
            .to_owned();
    }
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) if is_io(error) => format!("connection lost: {source}"),
            _ => error.to_string(),
        },
    }
}

/// Whether Postgres says that it is read-only, starting, stopping or gone.
pub(crate) fn means_role_change(code: &SqlState) -> bool {
    matches!(code.code(), "25006" | "57P01" | "57P02" | "57P03") || code.code().starts_with("08")
}

/// Whether the server is gone or has another role: another may do what this one did not.
pub(crate) fn is_gone(error: &tokio_postgres::Error) -> bool {
    is_io(error) || error.code().is_some_and(means_role_change)
}

/// Whether a migration has changed what a statement had been prepared for. Preparing it anew is all it takes.
pub(crate) fn is_outdated_plan(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
        && error.as_db_error().is_some_and(|db| db.routine() == Some("RevalidateCachedQuery"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_by_what_it_is() {
        assert_eq!(Error::Timeout.name(), "deadline");
        assert_eq!(Error::Exhausted(3).name(), "exhausted");
        assert_eq!(Error::NoPrimary("gone".to_owned()).name(), "unavailable");
    }
}
