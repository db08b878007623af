//! What can go wrong in the configuration service, one variant for each thing a caller can act on.

use onefold_core::{Class, Classified};

/// A failure of the configuration service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service did not answer; what was asked for was not done.
    #[error("the configuration service is away: {0}")]
    Away(String),
    /// The connection was lost after the question was sent; it may have been done.
    #[error("the configuration service may have done it or not: {0}")]
    Unknown(String),
    /// Somebody else changed it first.
    #[error("`{key}` has changed since it was read")]
    Conflict {
        /// What has changed.
        key: String,
    },
    /// The lease has ended or passed to somebody else.
    #[error("the lease `{name}` is lost")]
    LeaseLost {
        /// The lease.
        name: String,
    },
    /// No such thing; with the nearest name, if one is near.
    #[error("there is no {what} `{name}`{}", did_you_mean(.near.as_deref()))]
    NotFound {
        /// Its kind: `flag`, `setting`.
        what: &'static str,
        /// As it was asked for.
        name: String,
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// A value that was refused before anything was stored.
    #[error("{what} `{name}`: {problem}")]
    Invalid {
        /// Its kind: `flag`, `setting`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The engine holds what this build cannot read, or refused a statement.
    #[error("the configuration service answered with an error: {0}")]
    Engine(String),
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

impl Error {
    /// There is no such name among `names`; the nearest of them is suggested.
    pub(crate) fn not_found<'a>(
        what: &'static str,
        name: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::NotFound { what, name: name.to_owned(), near: nearest(name, names) }
    }

    pub(crate) fn invalid(what: &'static str, name: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { what, name: name.to_owned(), problem: problem.into() }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Away(_) => Class::Transient,
            Self::Unknown(_) => Class::Unknown,
            Self::Conflict { .. } => Class::Conflict,
            Self::LeaseLost { .. } => Class::LeaseLost,
            Self::NotFound { .. } | Self::Invalid { .. } | Self::Engine(_) => Class::Permanent,
        }
    }
}

/// Similar enough to be a slip of the hand (Jaro-Winkler); below it a suggestion is a guess.
const SIMILARITY_MIN: f64 = 0.8;

fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_answered_with_the_nearest_name() {
        let error = Error::not_found("flag", "preview-pgae", ["dark-mode", "preview-page"]);
        assert_eq!(error.to_string(), "there is no flag `preview-pgae`; did you mean `preview-page`?");
        let error = Error::not_found("flag", "xyz", ["dark-mode"]);
        assert_eq!(error.to_string(), "there is no flag `xyz`");
    }
}
