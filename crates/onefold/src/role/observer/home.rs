//! Where the observer keeps what it must not lose: its data, the console's tokens, the record of changes.

use crate::error::Result;
use onefold_core::topology::{Fault, Faults};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Below the working directory, unless something else is said.
const DIRECTORY: &str = "onefold-observer";

/// The places of one observer.
pub(super) struct Home {
    directory: PathBuf,
    tokens: PathBuf,
    tickets: PathBuf,
    audit: PathBuf,
    supervisor: Option<PathBuf>,
}

impl Home {
    /// In the state directory of the `up` that runs this node, or in a directory of its own.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(super) fn open(state: Option<&Path>, directory: Option<&Path>) -> Result<Self> {
        let within = state.map(|state| state.join("observer"));
        let directory = directory.map(Path::to_owned).or(within).unwrap_or_else(|| DIRECTORY.into());
        // What telemetry holds is for this account alone.
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
            let problem = format!("{} cannot be made ({error})", directory.display());
            Faults::from(Fault::new("observer.directory", problem, "name a directory that can be written"))
        })?;
        let tokens = match state {
            Some(state) => tokens(state),
            None => directory.join(TOKENS),
        };
        let (tickets, audit) = (tokens.with_extension("tickets"), directory.join("audit.jsonl"));
        Ok(Self { tokens, tickets, audit, supervisor: state.map(Path::to_owned), directory })
    }

    /// Where its data is.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn tokens(&self) -> &Path {
        &self.tokens
    }

    /// Which links were used.
    pub(super) fn tickets(&self) -> &Path {
        &self.tickets
    }

    pub(super) fn audit(&self) -> &Path {
        &self.audit
    }

    /// The state directory of the supervisor, where there is one.
    pub(super) fn supervisor(&self) -> Option<PathBuf> {
        self.supervisor.clone()
    }
}

const TOKENS: &str = "console.tokens";

/// The file of the console's tokens in a state directory.
pub(crate) fn tokens(state: &Path) -> PathBuf {
    state.join("secrets").join(TOKENS)
}
