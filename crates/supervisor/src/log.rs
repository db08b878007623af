//! The log file of one process: appended over restarts, and bounded in size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A log that has reached this size gives way to a new one; the one before is kept.
const BYTES_MAX: u64 = 16 << 20;

/// What is read back of a log's end.
const TAIL_BYTES_MAX: u64 = 8 << 10;
const TAIL_LINES_MAX: usize = 12;

/// The log file of one process: `NAME.log`, and the one before it as `NAME.log.1`.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
}

impl Log {
    /// The log of the process `name` in `directory`.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.log")) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for a start, after a rotation where it has grown large.
    pub(crate) fn open(&self) -> io::Result<File> {
        if self.bytes() >= BYTES_MAX {
            std::fs::rename(&self.path, self.previous())?;
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)
    }

    /// Bounds a log that is being written: what it holds is copied away and it begins anew. The writer appends,
    /// so it goes on at the new end; a line written between the two steps is lost.
    pub(crate) fn bound(&self) -> io::Result<()> {
        if self.bytes() < BYTES_MAX {
            return Ok(());
        }
        std::fs::copy(&self.path, self.previous())?;
        OpenOptions::new().write(true).open(&self.path)?.set_len(0)
    }

    /// Its size, to tell later what was written since.
    pub(crate) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Its last lines written since it had `since` bytes, indented for a message.
    pub(crate) fn tail(&self, since: u64) -> String {
        let text = self.read_end(since).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return "  (nothing)".to_owned();
        }
        let last = &lines[lines.len().saturating_sub(TAIL_LINES_MAX)..];
        last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }

    /// All that was written since it had `since` bytes, as far as a terminal can bear it.
    pub(crate) fn since(&self, since: u64) -> String {
        self.read_end(since).unwrap_or_default()
    }

    fn read_end(&self, since: u64) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let since = if since > length { 0 } else { since };
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(TAIL_BYTES_MAX))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn previous(&self) -> PathBuf {
        self.path.with_extension("log.1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_log_is_bounded_at_a_start_and_while_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::new(directory.path(), "app-a");
        let mut writer = log.open().unwrap();
        writeln!(writer, "first").unwrap();
        writer.set_len(BYTES_MAX).unwrap();
        log.bound().unwrap();
        writeln!(writer, "second").unwrap();
        assert_eq!(log.tail(0), "  second");
        writer.set_len(BYTES_MAX).unwrap();
        log.open().unwrap();
        assert_eq!(log.bytes(), 0);
        assert_eq!(std::fs::metadata(log.previous()).unwrap().len(), BYTES_MAX);
    }

    #[test]
    fn the_tail_begins_with_this_start() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::new(directory.path(), "app-a");
        writeln!(log.open().unwrap(), "before").unwrap();
        let since = log.bytes();
        assert_eq!(log.tail(since), "  (nothing)");
        writeln!(log.open().unwrap(), "after").unwrap();
        assert_eq!(log.tail(since), "  after");
    }
}
