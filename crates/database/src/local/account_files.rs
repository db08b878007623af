//! Files that the engine's account reads, written by a supervisor that may be root.

use nix::unistd::{Gid, Uid, chown};
use onefold_core::process::{Account, ProcessError};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Replaces a file of mode 0600 in one step and gives it to the account.
pub(crate) fn write(path: &Path, text: &str, account: Option<&Account>) -> Result<(), ProcessError> {
    let written = || -> io::Result<()> {
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        if let Some(account) = account {
            chown(&fresh, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
        }
        std::fs::rename(&fresh, path)
    };
    written().map_err(|error| failed("write", path, &error))
}

/// What a failed file operation means for the start of a server.
pub(crate) fn failed(action: &str, path: &Path, error: &io::Error) -> ProcessError {
    let fix = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on that disk",
        _ => "make it accessible, or name another state directory with --state",
    };
    ProcessError::unusable(format!("cannot {action} {}: {error}", path.display()), fix)
}
