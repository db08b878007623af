//! How a command fails: 1 for what did not work, 2 for what the user must change.

use onefold_console::TokensError;
use onefold_core::topology::Faults;
use onefold_observability::collect::Error as CollectError;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit status 1.
    Failed(String),
    /// Exit status 2: wrong usage or configuration.
    Usage(String),
    /// Another process of ours has said why already.
    Reported {
        /// What it said.
        output: String,
        /// Its status.
        status: u8,
    },
    /// Nobody reads on: there is nothing to say, and nothing went wrong.
    Unread,
}

impl Failure {
    /// Says why on standard error, and answers the exit status.
    pub(crate) fn report(self) -> ExitCode {
        let (message, status) = match self {
            Self::Failed(message) => (message, 1),
            Self::Usage(message) => (message, 2),
            Self::Reported { output, status } => {
                complain(&output);
                return ExitCode::from(status);
            }
            Self::Unread => return ExitCode::SUCCESS,
        };
        complain(&format!("error: {message}\n"));
        ExitCode::from(status)
    }
}

impl Failure {
    /// Why, for a command that goes on.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Failed(message) | Self::Usage(message) => message,
            Self::Reported { output, .. } => output,
            Self::Unread => "",
        }
    }
}

/// Writes to standard error, as far as somebody is there: the terminal may have gone.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Usage(faults.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        let is_wrong_database = error.source().is_some_and(is_for_the_user);
        let is_wrong = error.source::<Faults>().is_some() || error.source::<TokensError>().is_some();
        let is_wrong = is_wrong || matches!(error.source(), Some(CollectError::Rules(_)));
        if is_wrong_database || is_wrong { Self::Usage(error.cause()) } else { Self::Failed(error.cause()) }
    }
}

impl From<onefold_supervisor::Error> for Failure {
    fn from(error: onefold_supervisor::Error) -> Self {
        match error.exit_status() {
            2 => Self::Usage(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<onefold_core::process::ProcessError> for Failure {
    fn from(error: onefold_core::process::ProcessError) -> Self {
        match error {
            onefold_core::process::ProcessError::Unusable { .. } => Self::Usage(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<onefold_database::Error> for Failure {
    fn from(error: onefold_database::Error) -> Self {
        if is_for_the_user(&error) { Self::Usage(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

/// Whether the user must change something before it is worth another try.
fn is_for_the_user(error: &onefold_database::Error) -> bool {
    use onefold_database::Error::{Config, Refused, Schema};
    matches!(error, Config(_) | Schema(_) | Refused(_))
}

impl From<onefold_coordination::Error> for Failure {
    fn from(error: onefold_coordination::Error) -> Self {
        match error {
            onefold_coordination::Error::NotFound { .. } | onefold_coordination::Error::Invalid { .. } => {
                Self::Usage(error.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<onefold_queue::Error> for Failure {
    fn from(error: onefold_queue::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
