//! Why a query has no answer.

use onefold_core::{Class, Classified};

/// Why a query has no answer. Positions are counted in bytes from 0 and shown as line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no expression, or asks for what is not supported.
    #[error("{line}:{column}: {problem}")]
    Invalid {
        /// The line of the mistake, from 1.
        line: usize,
        /// The column of the mistake, from 1.
        column: usize,
        /// What is wrong, and what is expected instead.
        problem: String,
    },
    /// The expression is well formed, but these series cannot be combined by it.
    #[error("{0}")]
    Execution(String),
    /// A bound of the query: samples, steps or series.
    #[error("{0}")]
    TooLarge(String),
    /// The time for a query has passed.
    #[error("the query ran longer than {0:?}: narrow the range, or select fewer series")]
    Timeout(std::time::Duration),
    /// The store could not be read.
    #[error("read the samples: {0}")]
    Store(String),
}

impl Error {
    /// A mistake at a byte offset of the query's text.
    pub(crate) fn at(text: &str, offset: usize, problem: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Invalid {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
        }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Invalid { .. } | Self::Execution(_) | Self::TooLarge(_) => Class::Permanent,
            Self::Timeout(_) | Self::Store(_) => Class::Transient,
        }
    }
}
