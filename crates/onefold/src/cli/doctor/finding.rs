//! What one check found.

use std::fmt;

/// One line of `doctor`.
pub(super) enum Finding {
    /// As it should be.
    Good(String),
    /// Works, and somebody should know.
    Note(String),
    /// To be fixed.
    Wrong {
        /// What was found.
        problem: String,
        /// What to do.
        fix: String,
    },
}

impl Finding {
    /// Good if it holds, else wrong with a fix.
    pub(super) fn of(holds: bool, what: impl Into<String>, fix: &str) -> Self {
        if holds {
            Self::Good(what.into())
        } else {
            Self::Wrong { problem: what.into(), fix: fix.to_owned() }
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(what) => write!(f, "ok    {what}"),
            Self::Note(what) => write!(f, "note  {what}"),
            Self::Wrong { problem, fix } => write!(f, "FIX   {problem}: {fix}"),
        }
    }
}
