//! Parent death where the system has no signal for it (macOS, and everywhere for what descends from a child that stands
//! still): one small process that reads a pipe whose other
//! end only the supervisor holds. It is told of every child (`+PID`) and of its end (`-PID`); at the end of the
//! pipe the supervisor is gone, and it kills the groups that are left.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{self, BufRead, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ExitCode, Stdio};

/// The supervisor's end. Where the system has a parent-death signal there is no guard behind it.
#[derive(Debug, Default)]
pub(crate) struct Guard(Option<ChildStdin>);

impl Guard {
    /// Starts the guard, in a process group of its own so that a Ctrl-C at the terminal does not reach it.
    pub(crate) fn start() -> io::Result<Self> {
        if cfg!(target_os = "linux") {
            return Ok(Self::default());
        }
        Ok(Self::spawn()?.0)
    }

    /// Starts one on every system, and answers its process as well.
    pub(crate) fn spawn() -> io::Result<(Self, Pid)> {
        let mut command = crate::hidden::guard_command();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut guard = command.spawn()?;
        let pid = i32::try_from(guard.id()).map_err(io::Error::other)?;
        Ok((Self(guard.stdin.take()), Pid::from_raw(pid)))
    }

    /// Tells it of a child, which leads a process group.
    pub(crate) fn add(&mut self, pid: Pid) {
        self.tell('+', pid);
    }

    /// Tells it that a child has ended.
    pub(crate) fn remove(&mut self, pid: Pid) {
        self.tell('-', pid);
    }

    fn tell(&mut self, sign: char, pid: Pid) {
        let Some(pipe) = &mut self.0 else { return };
        if let Err(error) = writeln!(pipe, "{sign}{pid}") {
            tracing::warn!(%error, "the guard is gone: children may outlive a killed supervisor");
            self.0 = None;
        }
    }
}

/// The guard's life: reads until the supervisor is gone, then kills what is left.
pub(crate) fn watch(pipe: impl BufRead) -> ExitCode {
    for group in left(pipe) {
        // It may have ended by itself meanwhile.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    ExitCode::SUCCESS
}

fn left(pipe: impl BufRead) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    for line in pipe.lines().map_while(Result::ok) {
        match (line.get(..1), line.get(1..).and_then(|pid| pid.parse::<i32>().ok())) {
            (Some("+"), Some(pid)) if pid > 1 => groups.insert(pid),
            (Some("-"), Some(pid)) => groups.remove(&pid),
            _ => false,
        };
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_kills_exactly_what_has_not_ended() {
        let told = "+10\n+11\n-10\nnonsense\n+1\n+0\n+-5\n+12\n";
        assert_eq!(left(told.as_bytes()), BTreeSet::from([11, 12]));
    }
}
