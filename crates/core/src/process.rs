//! What the supervisor needs to know of a process that it runs: a command, when it is ready, what precedes a
//! start and how it is told to stop. Nodes and each engine's `local` module say so; the supervisor knows no more.

pub mod pulse;

use crate::Secret;
use crate::node::{NodeName, Zone};
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A boxed future, so that processes of several kinds stand in one list.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One process of a system, as its kind describes it.
///
/// A start is `prepare`, `command`, then `ready` until it says so; the first start of a system's life under one
/// supervisor adds `started`. Whatever answers [`ProcessError::NotYet`] is asked again after a moment.
pub trait Process: Send + Sync + 'static {
    /// Its name in the system: `app-a`, `postgres-1`.
    fn name(&self) -> &NodeName;

    /// What `status` shows as its role: `app`, `primary`. Asked again and again, since it may change.
    fn role(&self) -> BoxFuture<'_, String>;

    /// Where it stands, if it stands in one zone.
    fn zone(&self) -> Option<&Zone>;

    /// Where it is reached.
    fn address(&self) -> SocketAddr;

    /// Where a node serves `/healthz`, `/readyz` and `/metrics`; an engine serves none.
    fn admin(&self) -> Option<SocketAddr> {
        None
    }

    /// The other processes that must be ready before this one starts, and that stop after it.
    fn after(&self) -> Vec<NodeName> {
        Vec::new()
    }

    /// The other processes that stop before this one though they do not wait for its start: it watches them.
    fn outlives(&self) -> Vec<NodeName> {
        Vec::new()
    }

    /// What must be done before each start: make a data directory, remove a stale lock. Idempotent.
    fn prepare<'a>(&'a self, _host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The command line of the next start. Secrets go into files or the environment, never into arguments.
    fn command(&self) -> Command;

    /// Which build of its program the next start runs, where it is one that is rebuilt while the system runs.
    fn build(&self) -> Option<String> {
        None
    }

    /// Listening sockets that outlive it, asked for before each start, which inherits them as systemd hands them over
    /// (`LISTEN_FDS`): who connects while nobody serves is served by the next start, and is not refused.
    fn sockets(&self) -> Arc<[TcpListener]> {
        Arc::default()
    }

    /// Whether a start that is wanted need not wait until the one before has ended what it has: told to stop, it leaves
    /// its sockets to its successor at once.
    fn overlaps(&self) -> bool {
        false
    }

    /// It is not started again: what was kept for that may be let go.
    fn retire(&self) {}

    /// Asks the process itself, once, whether it can do its work.
    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>>;

    /// What comes once after it has become ready for the first time: passwords, slots. Idempotent; others wait
    /// for it as they wait for readiness.
    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What follows its end, once nothing that descends from it is left and before it is prepared again: here others
    /// may take over what it did. Not called at a stop of the system, nor before it was ready for the first time.
    fn ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Returns when it must be ended and started again though it runs, as this process; never, for most.
    fn recalled(&self, _pid: u32) -> BoxFuture<'_, Recall> {
        Box::pin(std::future::pending())
    }

    /// Returns when its role may be another than it last said, so that it is asked at once; for most it never is.
    fn role_changes(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// How it is told to stop, and how long it may take before it is killed.
    fn stop(&self) -> Stop;
}

/// Why a process that runs must be ended and started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It does not do its work any more, for this reason: it is killed, with all that descends from it.
    Broken(String),
    /// It is wanted to, for this reason: it is told to stop as at a stop of the system.
    Wanted(String),
}

/// What a supervisor does for a process that prepares its start.
pub trait Host: Send + Sync {
    /// Runs a command to its end; it dies with the supervisor.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where it cannot be run at all. A failing command is an [`Output`] like any other.
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>>;

    /// Finds a program on the search path, or where servers stand beside it (`/usr/sbin`).
    fn find(&self, program: &str) -> Option<PathBuf>;

    /// Makes a directory, with what is missing above it, that only the account may enter; none means the
    /// supervisor's own.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where it cannot be made, or is there and belongs to somebody else.
    fn directory(&self, path: &Path, account: Option<&Account>) -> Result<(), ProcessError>;

    /// Replaces a file of mode 0600 in one step, and gives it to the account; none means the supervisor's own.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where it cannot be written.
    fn write(&self, path: &Path, text: &str, account: Option<&Account>) -> Result<(), ProcessError>;

    /// The password in a file of mode 0600, made now for the account where there is none.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where the file cannot be read or written, or the system has no randomness.
    fn password(&self, path: &Path, account: Option<&Account>) -> Result<Secret, ProcessError>;
}

/// A command line to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables set for it beside the inherited ones.
    pub environment: Vec<(OsString, OsString)>,
    /// Inherited variables that it must not see.
    pub environment_without: &'static [&'static str],
    /// Its working directory.
    pub directory: PathBuf,
    /// The account it runs under; none means the supervisor's own.
    pub account: Option<Account>,
}

impl Command {
    /// A command of `program` in the directory `/` and under the supervisor's own account.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let directory = PathBuf::from("/");
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            environment_without: &[],
            directory,
            account: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Hides inherited variables.
    #[must_use]
    pub fn without(mut self, names: &'static [&'static str]) -> Self {
        self.environment_without = names;
        self
    }

    /// Sets the account.
    #[must_use]
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }
}

/// An account of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its main group's id.
    pub gid: u32,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether it ended with status 0.
    pub success: bool,
    /// What it wrote to stdout and stderr, in the order in which it came; the last 64 KiB.
    pub text: String,
}

/// How a process is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The signal.
    pub signal: StopSignal,
    /// How long it may take before it is killed.
    pub grace: Duration,
}

/// A signal that asks a process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// `SIGTERM`: drain and stop.
    Terminate,
    /// `SIGINT`: Postgres' fast shutdown.
    Interrupt,
}

/// Why a process cannot be prepared, started or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It will not work like this, however often it is tried; the user must change something.
    #[error("{problem}; {fix}")]
    Unusable {
        /// What is wrong, with the field or path and its value.
        problem: String,
        /// What to do about it.
        fix: String,
    },
    /// Not yet; ask again.
    #[error("{0}")]
    NotYet(String),
}

impl ProcessError {
    /// An [`ProcessError::Unusable`].
    pub fn unusable(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Unusable { problem: problem.into(), fix: fix.into() }
    }

    /// What a failed file operation (`read`, `write`…) means for a start.
    pub fn file(action: &str, path: &Path, error: &io::Error) -> Self {
        let fix = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on that disk",
            _ => "make it accessible, or name another state directory with --state",
        };
        Self::unusable(format!("cannot {action} {}: {error}", path.display()), fix)
    }

    /// A [`ProcessError::NotYet`] of an error that may pass.
    pub fn not_yet(reason: impl std::fmt::Display) -> Self {
        Self::NotYet(reason.to_string())
    }
}
