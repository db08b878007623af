//! Removing a state directory with everything that belongs to it elsewhere.

use super::{claim, engines};
use crate::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Removes a state directory, the engines' data and their sockets. Answers what was removed; a state that is not
/// there is removed already.
///
/// # Errors
/// [`Error::InUse`] where a supervisor holds it; [`Error::State`] where it is no state directory or cannot be
/// removed.
pub fn remove(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let root = std::fs::canonicalize(directory).map_err(|error| Error::state(directory, "find", &error))?;
    if let Some(pid) = claim::holder(&root)? {
        return Err(Error::InUse { state: root, pid });
    }
    if !root.join("version").exists() {
        return Err(Error::State {
            path: root,
            problem: "is no state directory: it holds no file `version`".to_owned(),
            fix: "name the right one with --state, or remove it yourself".to_owned(),
        });
    }
    let elsewhere = engines::remembered(&root)?.map(|engines| [engines.home, engines.sockets]);
    let mut removed = Vec::new();
    for path in elsewhere.into_iter().flatten().chain([root]) {
        match std::fs::remove_dir_all(&path) {
            Ok(()) => removed.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::state(&path, "remove", &error)),
        }
    }
    Ok(removed)
}
