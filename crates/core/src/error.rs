//! What a caller can do about a failure, in one word.

use std::fmt;

/// The class of a failure: every error enum of the tiers answers with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It may work if tried again: a connection was lost, a node is starting.
    Transient,
    /// It will fail in the same way again: bad input, a missing table.
    Permanent,
    /// Somebody else was first: a taken key, a serialization failure.
    Conflict,
    /// The right to act has passed to somebody else.
    LeaseLost,
    /// The outcome is not known: it may have been committed.
    Unknown,
    /// Our mistake, or the caller's against the documented contract.
    Bug,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Conflict => "conflict",
            Self::LeaseLost => "lease lost",
            Self::Unknown => "unknown outcome",
            Self::Bug => "bug",
        })
    }
}

/// An error that knows its class.
pub trait Classified {
    /// What the caller can do about it.
    fn class(&self) -> Class;
}
