//! What a rule says of a history.

use crate::history::Operation;
use std::fmt;

/// What a rule says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a broken promise is told by this alone"]
pub enum Verdict {
    /// The promise held, in as many operations as it concerned.
    Held {
        /// Operations whose answers could have broken it.
        checked: usize,
    },
    /// The promise was broken.
    Broken(Violation),
    /// The history does not tell, and why.
    Unknown(String),
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What happened, in words.
    pub what: String,
    /// The operations that show it, no more than that takes.
    pub operations: Vec<Operation>,
}

impl Verdict {
    pub(crate) fn of(checked: usize, violation: Option<Violation>) -> Self {
        violation.map_or(Self::Held { checked }, Self::Broken)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { checked } => write!(f, "held, in {checked} operations"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
            Self::Broken(Violation { what, operations }) => {
                write!(f, "broken: {what}")?;
                operations.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
            }
        }
    }
}
