//! A node as the supervisor runs it: this very binary, with `serve`.

use super::migrated::Migrated;
use super::plan::Planned;
use crate::probe;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Stop, StopSignal};
use onefold_core::{NodeName, Zone};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One node of the system that `up` runs.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(super) planned: Planned,
    /// Where it takes requests; none for a worker.
    pub(super) listen: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
    pub(super) after: Vec<NodeName>,
    pub(super) outlives: Vec<NodeName>,
    pub(super) binary: PathBuf,
    /// Where `up` was started: relative paths in the topology count from there.
    pub(super) directory: PathBuf,
    /// Where it keeps what it last knew of the configuration service.
    pub(super) snapshot: PathBuf,
    pub(super) topology: PathBuf,
    /// The schema that it waits for; an observer waits for nothing.
    pub(super) migrated: Option<Arc<Migrated>>,
    /// The supervisor's state directory, for the observer, which shows it.
    pub(super) state: Option<PathBuf>,
    pub(super) grace: Duration,
}

impl Process for NodeProcess {
    fn name(&self) -> &NodeName {
        &self.planned.name
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::ready(self.planned.role.to_string()))
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.planned.zone)
    }

    fn address(&self) -> SocketAddr {
        self.listen.unwrap_or(self.admin)
    }

    fn admin(&self) -> Option<SocketAddr> {
        Some(self.admin)
    }

    fn after(&self) -> Vec<NodeName> {
        self.after.clone()
    }

    fn outlives(&self) -> Vec<NodeName> {
        self.outlives.clone()
    }

    /// The schema must be there before the first node looks for it.
    fn prepare<'a>(&'a self, _: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        match &self.migrated {
            Some(migrated) => Box::pin(migrated.ensure()),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn command(&self) -> Command {
        let listen = self.listen.map(|listen| ["--listen".to_owned(), listen.to_string()]);
        let mut command = Command::new(&self.binary)
            .args(["serve", "--role", self.planned.role.as_str(), "--zone", self.planned.zone.as_str()])
            .args(["--name", self.planned.name.as_str(), "--admin", &self.admin.to_string()])
            .args(listen.into_iter().flatten())
            .args(self.state.iter().flat_map(|state| [OsStr::new("--state"), state.as_os_str()]))
            .arg("--topology")
            .arg(&self.topology)
            .env("ONEFOLD__COORDINATION__SNAPSHOT", &self.snapshot);
        command.directory.clone_from(&self.directory);
        command
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            match probe::get(self.admin, "/readyz").await {
                Ok((status, _)) if status.is_success() => Ok(()),
                Ok((status, _)) => Err(ProcessError::NotYet(format!("/readyz says {status}"))),
                Err(reason) => Err(ProcessError::NotYet(reason)),
            }
        })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: self.grace }
    }
}
