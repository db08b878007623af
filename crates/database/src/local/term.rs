//! Who the primary is, and since which epoch: kept in a file beside the servers' data, and published by it.
//!
//! A choice is written, and synced, before it is carried out: whoever comes back after a crash of everything finds it
//! and carries it out. So the file, and not the data directories, says who may run as the primary.

use onefold_core::process::ProcessError;
use onefold_core::{Lsn, NodeName};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// One epoch: the time of one primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Term {
    /// Grows by one with each choice of a primary.
    pub(crate) epoch: u64,
    /// Who is chosen.
    pub(crate) primary: NodeName,
    /// Whether it takes writes already.
    pub(crate) promoted: bool,
    /// What it held when it was chosen: what earlier epochs acknowledged lies below.
    #[serde(default)]
    pub(crate) start: Lsn,
    /// Whether it may have acknowledged what no replica has.
    #[serde(default)]
    pub(crate) alone: bool,
}

impl Term {
    /// The next epoch, with a primary that is yet to be promoted.
    pub(crate) fn next(&self, primary: NodeName, start: Lsn) -> Self {
        Self { epoch: self.epoch + 1, primary, promoted: false, start, alone: false }
    }

    /// What the file in `home` says. Without one, as in a new cluster, the first epoch of `first`.
    pub(crate) fn load(home: &Path, first: NodeName) -> Result<Self, ProcessError> {
        let path = path(home);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let problem = format!("{} is no epoch file: {error}", path.display());
                let fix = r#"write {"epoch": N, "primary": "postgres-…", "promoted": true} with the present primary"#;
                ProcessError::unusable(problem, fix)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { epoch: 1, primary: first, promoted: true, start: Lsn::ZERO, alone: false })
            }
            Err(error) => Err(ProcessError::file("read", &path, &error)),
        }
    }

    /// Writes the file in one step, so that it outlives the machine.
    pub(crate) fn save(&self, home: &Path) -> Result<(), ProcessError> {
        let (path, fresh) = (path(home), home.join("epoch.new"));
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            File::open(home)?.sync_all()
        };
        write().map_err(|error| ProcessError::file("write", &path, &error))
    }
}

/// The file in `home`.
pub(crate) fn path(home: &Path) -> PathBuf {
    home.join("epoch.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_as_it_was_written_and_a_broken_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let name = |text: &str| text.parse::<NodeName>().unwrap();
        let first = Term::load(home.path(), name("postgres-1")).unwrap();
        assert_eq!((first.epoch, first.promoted), (1, true));
        let next = first.next(name("postgres-2"), Lsn(77));
        next.save(home.path()).unwrap();
        assert_eq!(Term::load(home.path(), name("postgres-1")).unwrap(), next);
        assert_eq!((next.epoch, next.promoted), (2, false));

        // A later build may know more.
        let known = r#"{"epoch": 7, "primary": "postgres-3", "promoted": true, "more": 1}"#;
        std::fs::write(path(home.path()), known).unwrap();
        assert_eq!(Term::load(home.path(), name("postgres-1")).unwrap().epoch, 7);
        std::fs::write(path(home.path()), "{}").unwrap();
        let refused = Term::load(home.path(), name("postgres-1")).unwrap_err().to_string();
        assert!(refused.contains("epoch.json"), "{refused}");
    }
}
