//! A node as the supervisor runs it: this very binary, or a later build of it, with `serve`.

use super::build::Build;
use super::kept::Kept;
use super::migrated::Migrated;
use super::plan::Planned;
use crate::probe;
use onefold_core::process::pulse::Pulse;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Recall, Stop, StopSignal};
use onefold_core::{Clock, NodeName, Zone};
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two questions whether it still does its work.
const PERIOD: Duration = Duration::from_secs(1);

/// One node of the system that `up` runs.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(super) planned: Planned,
    /// Where it takes requests; none for a worker.
    pub(super) listen: Option<SocketAddr>,
    /// Where the others find it and its admin address, if that is not where it listens.
    pub(super) advertise: Option<[SocketAddr; 2]>,
    pub(super) admin: SocketAddr,
    pub(super) after: Vec<NodeName>,
    pub(super) outlives: Vec<NodeName>,
    /// What its next start runs.
    pub(super) build: Mutex<Arc<Build>>,
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
    /// Sockets that are kept over its restarts, for a node whose clients cannot go elsewhere meanwhile.
    pub(super) kept: Option<Kept>,
}

impl NodeProcess {
    /// Has the next start run another build; answers the one before.
    pub(super) fn change(&self, build: Arc<Build>) -> Arc<Build> {
        std::mem::replace(&mut *self.build.lock().unwrap_or_else(PoisonError::into_inner), build)
    }

    fn next_build(&self) -> Arc<Build> {
        Arc::clone(&self.build.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
        Box::pin(async {
            if let Some(migrated) = &self.migrated {
                migrated.ensure().await?;
            }
            self.kept.as_ref().map_or(Ok(()), Kept::open)
        })
    }

    fn sockets(&self) -> Arc<[TcpListener]> {
        self.kept.as_ref().map(Kept::sockets).unwrap_or_default()
    }

    fn overlaps(&self) -> bool {
        self.kept.is_some()
    }

    fn retire(&self) {
        if let Some(kept) = &self.kept {
            kept.close();
        }
    }

    fn command(&self) -> Command {
        let advertise = self.advertise.map(|[requests, admin]| {
            [
                "--advertise".to_owned(),
                requests.to_string(),
                "--advertise-admin".to_owned(),
                admin.to_string(),
            ]
        });
        let listen = self.listen.map(|listen| ["--listen".to_owned(), listen.to_string()]);
        let mut command = Command::new(self.next_build().program())
            .args(["serve", "--role", self.planned.role.as_str(), "--zone", self.planned.zone.as_str()])
            .args(["--name", self.planned.name.as_str(), "--admin", &self.admin.to_string()])
            .args(listen.into_iter().flatten())
            .args(advertise.into_iter().flatten())
            .args(self.state.iter().flat_map(|state| [OsStr::new("--state"), state.as_os_str()]))
            .arg("--topology")
            .arg(&self.topology)
            .env("ONEFOLD__COORDINATION__SNAPSHOT", &self.snapshot);
        command.directory.clone_from(&self.directory);
        command
    }

    fn build(&self) -> Option<String> {
        Some(self.next_build().name().to_owned())
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

    /// One that hangs is killed: its clients wait for nothing, and what it has locked is locked for others.
    fn recalled(&self, pid: u32) -> BoxFuture<'_, Recall> {
        Box::pin(async move {
            let mut pulse = Pulse::new(Clock::system(), pid);
            loop {
                if !pulse.is_weak() {
                    tokio::time::sleep(PERIOD).await;
                }
                let silent = pulse.beat(probe::word(self.admin), || std::future::ready(false)).await;
                if let Some(waited) = silent {
                    return Recall::Broken(format!("gave no answer for {} s", waited.as_secs()));
                }
            }
        })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: self.grace }
    }
}
