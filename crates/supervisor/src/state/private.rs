//! Directories and files that only their owner may read.

use crate::error::Error;
use nix::unistd::{Gid, Uid};
use onefold_core::process::Account;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Processes that are prepared at the same time may share a directory: who finds it there must find it given away.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes a directory of mode 0700 with what is missing above it, and gives it to an account. One that is there
/// already must belong to that account, so that nobody else can have laid it out for us.
pub(crate) fn directory(path: &Path, account: Option<&Account>) -> Result<(), Error> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: io::Error| Error::state(path, "create", &error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => give(path, account).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_owner(path, account),
        Err(error) => Err(failed(error)),
    }
}

fn check_owner(path: &Path, account: Option<&Account>) -> Result<(), Error> {
    let metadata = std::fs::symlink_metadata(path).map_err(|error| Error::state(path, "look at", &error))?;
    let owner = account.map_or_else(|| Uid::effective().as_raw(), |account| account.uid);
    let refused = |problem: String| {
        let fix = "remove it, or name another directory with --state".to_owned();
        Err(Error::State { path: path.to_owned(), problem, fix })
    };
    if !metadata.is_dir() {
        return refused("is no directory".to_owned());
    }
    if metadata.uid() != owner {
        return refused(format!("belongs to the account {}, not to {owner}", metadata.uid()));
    }
    // Group and others may have been let in by a lax umask of an older tool.
    if metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|error| Error::state(path, "close to others", &error))?;
    }
    Ok(())
}

/// Gives a file or directory to an account.
pub(crate) fn give(path: &Path, account: Option<&Account>) -> io::Result<()> {
    let Some(account) = account else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    Ok(nix::unistd::chown(path, Some(uid), Some(gid))?)
}

/// Replaces a file of mode 0600 in one step, so that a reader sees the old or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_for(path, bytes, None)
}

/// The same, for an account that shall read it.
pub(crate) fn replace_for(path: &Path, bytes: &[u8], account: Option<&Account>) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    give(&fresh, account)?;
    std::fs::rename(&fresh, path)
}
