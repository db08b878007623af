//! What the supervisor needs to know of a process that it runs: a command, when it is ready, what precedes a
//! start and how it is told to stop. Nodes and each engine's `local.rs` say so; the supervisor knows no more.

use crate::node::{NodeName, Zone};
use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, so that processes of several kinds stand in one list.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One process of a system, as its kind describes it.
pub trait Process: Send + Sync + 'static {
    /// Its name in the system: `app-a`, `postgres-1`.
    fn name(&self) -> &NodeName;

    /// What `status` shows as its role: `app`, `primary`. It may change over time.
    fn role(&self) -> String;

    /// Where it stands, if it stands in one zone.
    fn zone(&self) -> Option<&Zone>;

    /// Where it is reached.
    fn address(&self) -> SocketAddr;

    /// The other processes that must be ready before this one starts.
    fn after(&self) -> Vec<NodeName>;

    /// What must be done before each start: make a data directory, remove a stale lock. Idempotent.
    fn prepare(&self) -> BoxFuture<'_, Result<(), ProcessError>>;

    /// The command line of the next start. Secrets go into files or the environment, never into arguments.
    fn command(&self) -> Command;

    /// Asks the process itself, once, whether it can do its work.
    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>>;

    /// What comes once after it has become ready for the first time: passwords, slots. Idempotent.
    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How it is told to stop, and how long it may take before it is killed.
    fn stop(&self) -> Stop;
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
    /// Its working directory.
    pub directory: PathBuf,
    /// Whether a supervisor that runs as root starts it under the unprivileged account.
    pub account: Account,
}

/// Under which account a process runs when the supervisor is root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The supervisor's own.
    Own,
    /// The unprivileged one: Postgres refuses to run as root.
    Unprivileged,
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
    #[error("{problem}: {fix}")]
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
