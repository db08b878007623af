//! A state directory for one test.

use std::path::PathBuf;

/// A place for a state directory; what a test makes there is removed with it, wherever it lies.
pub(crate) struct Scratch {
    home: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("state")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = super::remove(&self.path());
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}
