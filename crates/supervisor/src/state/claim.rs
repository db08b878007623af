//! Taking a state directory for one supervisor.

use super::engines::Engines;
use super::lock::lock;
use super::private;
use crate::error::Error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The layout that this build reads and writes.
const VERSION: &str = "onefold state 1";

/// Three fresh clusters with their WAL, and some logs.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// A state directory that this process holds. The lock goes with the value, or with the process.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    engines: Engines,
    _lock: File,
}

impl State {
    /// Takes a state directory, and lays it out if it is new.
    ///
    /// # Errors
    /// [`Error::InUse`] where another supervisor holds it; [`Error::State`] where it cannot be written, where the
    /// disk is full, where it belongs to something else or was written by another version.
    pub fn claim(path: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(path).map_err(|error| Error::state(path, "find", &error))?;
        private::directory(&root, None)?;
        let root = std::fs::canonicalize(&root).map_err(|error| Error::state(&root, "find", &error))?;
        check_contents(&root)?;
        let lock = lock(&root)?;
        check_space(&root)?;
        write_version(&root)?;
        for name in ["run", "logs", "secrets"] {
            private::directory(&root.join(name), None)?;
        }
        let engines = Engines::find(&root)?;
        check_space(engines.home())?;
        Ok(Self { root, engines, _lock: lock })
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where the logs are.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Where the files of one run are.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where generated secrets are kept, each in a file of mode 0600.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Where engines keep their data, and under which account they run.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }
}

/// A directory with other things in it is not laid out as a state, nor ever removed as one.
fn check_contents(root: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::state(root, "read", &error);
    if root.join("version").exists() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(root).map_err(failed)?;
    let foreign = entries.find_map(|entry| entry.ok().filter(|entry| entry.file_name() != "lock"));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(Error::State {
            path: root.to_owned(),
            problem: format!("is no state directory: it holds {}", entry.file_name().display()),
            fix: "name an empty or a new directory with --state".to_owned(),
        }),
    }
}

fn write_version(root: &Path) -> Result<(), Error> {
    let path = root.join("version");
    match std::fs::read_to_string(&path) {
        Ok(found) if found.trim() == VERSION => Ok(()),
        Ok(found) if !found.trim().is_empty() => Err(Error::State {
            problem: format!("was written by another version (`{}`, this one is `{VERSION}`)", found.trim()),
            path: root.to_owned(),
            fix: "use the version that wrote it, or name another directory with --state".to_owned(),
        }),
        _ => private::replace(&path, format!("{VERSION}\n").as_bytes())
            .map_err(|error| Error::state(&path, "write", &error)),
    }
}

#[allow(clippy::useless_conversion, reason = "the number of blocks is narrower on macOS")]
fn check_space(path: &Path) -> Result<(), Error> {
    let found = nix::sys::statvfs::statvfs(path)
        .map_err(|error| Error::state(path, "ask for its space", &error.into()))?;
    let free = u64::from(found.blocks_available()).saturating_mul(found.fragment_size());
    enough(path, free)
}

fn enough(path: &Path, free: u64) -> Result<(), Error> {
    if free >= FREE_BYTES_MIN {
        return Ok(());
    }
    Err(Error::State {
        path: path.to_owned(),
        problem: format!(
            "is on a full disk: {} MiB are free, {} are needed",
            free >> 20,
            FREE_BYTES_MIN >> 20
        ),
        fix: "free some space, or name a directory on another disk with --state".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::lock::holder;
    use super::super::scratch::Scratch;
    use super::*;

    fn refused(path: &Path) -> String {
        let error = State::claim(path).unwrap_err();
        assert_eq!(error.exit_status(), 2, "{error}");
        error.to_string()
    }

    #[test]
    fn a_state_is_held_once_and_a_dead_holder_holds_nothing() {
        let scratch = Scratch::new();
        let path = scratch.path();
        assert_eq!(holder(&path).unwrap(), None);
        let state = State::claim(&path).unwrap();
        assert_eq!(holder(&path).unwrap(), Some(std::process::id()));
        assert!(refused(&path).contains(&format!("in use by process {}", std::process::id())));
        drop(state);
        assert_eq!(holder(&path).unwrap(), None);
        State::claim(&path).unwrap();
    }

    #[test]
    fn removing_a_state_finds_what_lies_elsewhere_even_if_the_state_is_gone() {
        let scratch = Scratch::new();
        let home = |state: &State| state.engines().home().to_owned();
        let first = home(&State::claim(&scratch.path()).unwrap());
        std::fs::remove_dir_all(scratch.path()).unwrap();
        let second = home(&State::claim(&scratch.path()).unwrap());
        assert_eq!(home(&State::claim(&scratch.path()).unwrap()), second, "a state keeps its engines' home");
        std::fs::remove_dir_all(scratch.path()).unwrap();
        super::super::remove(&scratch.path()).unwrap();
        assert!(!first.exists() && !second.exists());
    }

    #[test]
    fn what_is_no_state_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("thesis.tex"), "").unwrap();
        assert!(refused(home.path()).contains("holds thesis.tex"));
        assert!(super::super::remove(home.path()).is_err());
        assert!(home.path().join("thesis.tex").exists());
    }

    #[test]
    fn another_version_is_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("version"), "onefold state 9").unwrap();
        assert!(refused(home.path()).contains("onefold state 9"));
    }

    #[test]
    fn an_unwritable_place_and_a_full_disk_say_what_to_do() {
        let home = tempfile::NamedTempFile::new().unwrap();
        assert!(refused(&home.path().join("state")).contains("--state"));
        assert!(refused(Path::new("/proc/onefold")).contains("--state"));
        let full = enough(Path::new("/full"), 1 << 20).unwrap_err().to_string();
        assert!(
            full.contains("/full is on a full disk: 1 MiB are free") && full.contains("--state"),
            "{full}"
        );
        let full = Error::state(Path::new("/full"), "write", &nix::Error::ENOSPC.into()).to_string();
        assert!(full.contains("disk is full"), "{full}");
    }
}
