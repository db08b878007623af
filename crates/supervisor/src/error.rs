//! Why a system cannot be started, in words that say what to change.

use onefold_core::process::ProcessError;
use onefold_core::topology::Fault;
use onefold_core::{Class, Classified, NodeName};
use std::io;
use std::path::{Path, PathBuf};

/// Why a system cannot be started, stopped or looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another supervisor holds the state directory.
    #[error(
        "{state} is in use by process {pid}; `restart --rolling` has it run a binary that was built since, `down` stops it, \
         and --state names another directory",
        state = .state.display()
    )]
    InUse {
        /// The state directory.
        state: PathBuf,
        /// The process that holds it.
        pid: u32,
    },
    /// No supervisor holds the state directory.
    #[error("nothing runs on {state}; start it with `up`, or name the right directory with --state", state = .0.display())]
    NotRunning(PathBuf),
    /// The state directory cannot be used.
    #[error("{path} {problem}; {fix}", path = .path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        fix: String,
    },
    /// Nobody can listen on a listener's address: mostly, since another program does.
    #[error("{0}")]
    PortInUse(Fault),
    /// A process cannot work as it is set up.
    #[error("{name}: {source}")]
    Unusable {
        /// The process.
        name: NodeName,
        /// Why.
        source: ProcessError,
    },
    /// A process ended again and again before it was ready, or refused its configuration.
    #[error("{name} does not start ({reason}); its log {log} ends with\n{lines}", log = .log.display())]
    NotStarted {
        /// The process.
        name: NodeName,
        /// How it ended, or what it still waits for.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        lines: String,
        /// Whether it ended with status 2: wrong usage or configuration.
        misconfigured: bool,
    },
    /// No process has this name.
    #[error("no process is named {name}; there are {known}")]
    Unknown {
        /// The name.
        name: NodeName,
        /// Those that there are.
        known: String,
    },
    /// Two processes of one name, an unknown predecessor, or a circle of them.
    #[error("{0}")]
    Graph(String),
    /// The start was stopped before it was done.
    #[error("stopped before everything was ready")]
    Stopped,
    /// The system refuses something that it always grants.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The exit status of a command that ends with this error: 2 for what the user must set right, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::InUse { .. }
            | Self::State { .. }
            | Self::PortInUse(_)
            | Self::Unusable { .. }
            | Self::Unknown { .. }
            | Self::NotStarted { misconfigured: true, .. } => 2,
            _ => 1,
        }
    }

    /// The failure of a file operation within the state.
    pub(crate) fn state(path: &Path, action: &str, source: &io::Error) -> Self {
        let fix = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full: free some space, or name a directory on another disk with --state"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "make it writable for this account, or name another directory with --state"
            }
            _ => "name a directory that can be written with --state",
        };
        let problem = format!("cannot be used ({action}: {source})");
        Self::State { path: path.to_owned(), problem, fix: fix.to_owned() }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::InUse { .. } => Class::Conflict,
            Self::Graph(_) => Class::Bug,
            Self::Stopped | Self::System { .. } => Class::Transient,
            _ => Class::Permanent,
        }
    }
}
