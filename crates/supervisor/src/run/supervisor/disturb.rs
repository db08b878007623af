//! What is done to processes on purpose, to see how the others take it.

use super::Supervisor;
use crate::machine;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use onefold_core::NodeName;
use std::io;

impl Supervisor {
    /// Kills a process; it is started again as after any other death. Answers the process id that it had, none where it
    /// does not run.
    pub async fn kill(&self, name: &NodeName) -> Option<u32> {
        let pid = self.pid(name)?;
        self.shared.children.signal(raw(pid)?, Signal::SIGKILL).await;
        Some(pid)
    }

    /// Stops a process and all that descends from it, until it is resumed or ends. Answers its process id, none where it
    /// does not run.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub async fn pause(&self, name: &NodeName) -> io::Result<Option<u32>> {
        let Some(pid) = self.pid(name) else { return Ok(None) };
        let Some(raw) = raw(pid) else { return Ok(None) };
        match self.shared.children.pause(raw).await {
            Ok(()) => Ok(Some(pid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a process that was paused go on, if it still is that process.
    pub async fn resume(&self, pid: u32) {
        if let Some(pid) = raw(pid) {
            self.shared.children.resume(pid).await;
        }
    }

    /// The process ids of a process and of all that descends from it, itself first. None where it does not run.
    pub fn tree(&self, name: &NodeName) -> Vec<u32> {
        let Some(pid) = self.pid(name).and_then(raw) else { return Vec::new() };
        let all = std::iter::once(pid).chain(machine::descendants(pid, &machine::processes()));
        all.filter_map(|pid| u32::try_from(pid.as_raw()).ok()).collect()
    }

    fn pid(&self, name: &NodeName) -> Option<u32> {
        let status = self.board.watch();
        let status = status.borrow();
        status.processes.iter().find(|process| process.name == *name)?.pid
    }
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().map(Pid::from_raw)
}
