//! A system in the background: `up --detach` and `down`.

use crate::error::Error;
use crate::hidden::{self, Bond};
use crate::log::Log;
use crate::state;
use crate::status::{self, Phase};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);

/// What a detached start came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// What it printed until it was ready or failed.
    pub output: String,
    /// The status to end with: 0 if it runs now.
    pub exit_status: u8,
}

/// Starts `program` in a session of its own, with `logs/up.log` of the state for its output, and waits until it
/// announces that it is ready or ends.
///
/// # Errors
/// [`Error::InUse`] where a supervisor holds the state; [`Error::State`] where the log cannot be written;
/// [`Error::System`] where nothing can be spawned.
pub async fn respawn(
    directory: &Path,
    program: &Path,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Detached, Error> {
    if let Some(pid) = state::holder(directory)? {
        return Err(Error::InUse { state: directory.to_owned(), pid });
    }
    let log = open_log(directory)?;
    let since = log.bytes();
    let file = log.open().map_err(|error| Error::state(log.path(), "open", &error))?;
    let spawn = |file: std::fs::File| -> io::Result<Child> {
        hidden::command(program.as_os_str(), None, Bond::Session)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
    };
    let system = |source| Error::System { action: "start in the background", source };
    let mut child = spawn(file).map_err(system)?;
    loop {
        if let Some(exit) = child.try_wait().map_err(system)? {
            let exit_status = exit.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            return Ok(Detached { output: log.since(since), exit_status: exit_status.max(1) });
        }
        let ready = status::read(directory).is_ok_and(|s| s.pid == child.id() && s.state == Phase::Ready);
        if ready {
            return Ok(Detached { output: log.since(since), exit_status: 0 });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The state may be new: then it is laid out as far as the log needs it, as [`state::State::claim`] would.
fn open_log(directory: &Path) -> Result<Log, Error> {
    let logs = directory.join("logs");
    if !directory.join("version").exists() {
        drop(state::State::claim(directory)?);
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&logs);
    made.map_err(|error| Error::state(&logs, "create", &error))?;
    Ok(Log::new(&logs, "up"))
}

/// Tells the supervisor of a state directory to stop, and waits until it has gone with all its processes.
///
/// # Errors
/// [`Error::NotRunning`] where there is none; [`Error::System`] where it may not be signalled.
pub async fn down(directory: &Path) -> Result<u32, Error> {
    let mut told = None;
    // The lock is asked each time: it is gone with the supervisor, while its number may come again.
    while let Some(pid) = state::holder(directory)? {
        if told.is_none() && pid != 0 {
            let number = i32::try_from(pid).map_err(io::Error::other);
            let sent =
                number.and_then(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(io::Error::from));
            sent.map_err(|source| Error::System { action: "stop the supervisor", source })?;
            told = Some(pid);
        }
        tokio::time::sleep(POLL).await;
    }
    told.ok_or_else(|| Error::NotRunning(directory.to_owned()))
}
