//! The lock of a state directory: the file `lock`, which the system unlocks when its holder ends, however it ends.

use crate::error::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The supervisor that holds a state directory, if one does. A lock file that a killed one left behind is no lock.
///
/// # Errors
/// [`Error::State`] where the lock cannot be read.
pub fn holder(directory: &Path) -> Result<Option<u32>, Error> {
    let path = directory.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::state(&path, "open", &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(pid_in(file))),
        Err(TryLockError::Error(error)) => Err(Error::state(&path, "lock", &error)),
    }
}

/// Zero for the moment between the holder's lock and its note of who it is.
fn pid_in(mut file: File) -> u32 {
    let mut text = String::new();
    let read = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    read.unwrap_or(0)
}

/// Takes the lock for as long as the file is open.
pub(super) fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let failed =
        |action: &'static str| move |error: io::Error| Error::state(&root.join("lock"), action, &error);
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    let mut file = open.map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::InUse { state: root.to_owned(), pid: pid_in(file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(failed("write"))?;
    Ok(file)
}
