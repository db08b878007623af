//! A build of this binary: the file that nodes are started from, known by what it holds.

use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// One build. It can be started as long as this lives, also after its file has been replaced or removed.
#[derive(Debug)]
pub(crate) struct Build {
    name: String,
    path: PathBuf,
    file: File,
    place: Place,
}

/// What tells whether a path still leads to the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Build {
    /// The build that stands at this path now.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(crate) async fn open(path: PathBuf) -> io::Result<Self> {
        // Reading it takes a moment, in which nobody else shall wait.
        tokio::task::spawn_blocking(|| Self::read(path)).await?
    }

    fn read(path: PathBuf) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        let place = Place::of(&file.metadata()?);
        let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            hash.update(&chunk[..read]);
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        let name = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
        Ok(Self { name, path, file, place })
    }

    /// What `status` calls it: the first 32 bits of the file's SHA-256, enough to tell the builds on a machine apart.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it stood when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What to start: its path while that is this build, then the file that is held open.
    pub(crate) fn program(&self) -> PathBuf {
        let stands = std::fs::metadata(&self.path).is_ok_and(|now| Place::of(&now) == self.place);
        if stands || !cfg!(target_os = "linux") {
            return self.path.clone();
        }
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }
}

impl Place {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// The path by which this binary was called, as far as it leads here. A symbolic link stays one: a deployment may lead
/// it to another build. It is asked for at the start, since a file that is replaced later has no path any more.
///
/// # Errors
/// Where the system does not say which binary runs.
pub(crate) fn called_by() -> io::Result<PathBuf> {
    let real = std::env::current_exe()?;
    let called = std::env::args_os().next().map(PathBuf::from);
    // A bare name was found on the search path: then the system's word has to do.
    let called = called.filter(|path| path.components().count() > 1).map(std::path::absolute);
    let leads_here = |path: &PathBuf| std::fs::canonicalize(path).is_ok_and(|target| target == real);
    Ok(called.and_then(Result::ok).filter(leads_here).unwrap_or(real))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn script(path: &Path, says: &str) {
        // As linkers do: the old file is another one, which may be running.
        let new = path.with_extension("new");
        std::fs::write(&new, format!("#!/bin/sh\necho {says}\n")).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&new, path).unwrap();
    }

    fn said(build: &Build) -> String {
        String::from_utf8(Command::new(build.program()).output().unwrap().stdout).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_build_can_be_started_after_its_file_was_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("links");
        script(&path, "one");
        let one = Build::read(path.clone()).unwrap();
        assert_eq!(one.program(), path);
        script(&path, "two");
        let two = Build::read(path.clone()).unwrap();
        assert_ne!(one.name(), two.name());
        // A shell opens a script once more, by the path that it is given.
        assert_eq!((said(&one).trim(), said(&two).trim()), ("one", "two"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(said(&two).trim(), "two");
    }
}
