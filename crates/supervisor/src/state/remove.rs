//! Removing a state directory with everything that belongs to it elsewhere.

use super::{engines, lock, places};
use crate::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Removes a state directory, the engines' data and their sockets, also those that are left of a state whose
/// directory has been removed by hand. Answers what was removed.
///
/// # Errors
/// [`Error::InUse`] where a supervisor holds it; [`Error::State`] where it is no state directory or cannot be
/// removed.
pub fn remove(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let root = resolved(directory)?;
    if let Some(pid) = lock::holder(&root)? {
        return Err(Error::InUse { state: root, pid });
    }
    if root.exists() && !root.join("version").exists() {
        return Err(Error::State {
            path: root,
            problem: "is no state directory: it holds no file `version`".to_owned(),
            fix: "name the right one with --state, or remove it yourself".to_owned(),
        });
    }
    let remembered = engines::remembered(&root)?.map(|engines| [engines.home, engines.sockets]);
    let elsewhere = remembered.into_iter().flatten().chain(places::elsewhere(&root));
    let mut removed = Vec::new();
    for path in elsewhere.chain([root]) {
        match std::fs::remove_dir_all(&path) {
            Ok(()) => removed.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::state(&path, "remove", &error)),
        }
    }
    Ok(removed)
}

/// The path as [`claim::State::claim`] has it, even where the directory itself is gone already.
fn resolved(directory: &Path) -> Result<PathBuf, Error> {
    let failed = |error: io::Error| Error::state(directory, "find", &error);
    let absolute = std::path::absolute(directory).map_err(failed)?;
    match (std::fs::canonicalize(&absolute), absolute.parent(), absolute.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(std::fs::canonicalize(parent).map_or(absolute.clone(), |parent| parent.join(name)))
        }
        (found, ..) => found.map_err(failed),
    }
}
