//! One file: its place in time, its size, and the connections to it.

use super::{Error, Schema};
use crate::collect::ledger;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The layout of the files; another number is another program's, and is set aside.
const VERSION: i64 = 3;
/// Idle connections that are kept for the next reader.
const IDLE_MAX: usize = 2;
/// How long a connection waits for the engine's short locks (the first open after a crash, a checkpoint).
const BUSY: Duration = Duration::from_secs(5);

/// A `SQLite` file of one signal. Readers share it; the writer has a connection of its own.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    started: SystemTime,
    ended_ms: AtomicU64,
    bytes: AtomicU64,
    count: AtomicU64,
    idle: Mutex<Vec<Connection>>,
}

impl Segment {
    /// A new, empty file, named by its first moment.
    pub(super) fn create(directory: &Path, now: SystemTime, schema: Schema) -> Result<Self, Error> {
        let mut started_ms = millis(now);
        // Two in one millisecond: the name must be new, the moment need not be exact.
        let path = loop {
            let path = directory.join(format!("{started_ms:014}.db"));
            if !path.exists() {
                break path;
            }
            started_ms += 1;
        };
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;")?;
        let create = schema.create.concat();
        connection.execute_batch(&format!(
            "BEGIN; {create} {} PRAGMA user_version = {VERSION}; COMMIT;",
            ledger::TABLE
        ))?;
        Ok(Self::new(path, started_ms, started_ms, 0))
    }

    /// A file of an earlier run.
    pub(super) fn found(path: &Path, schema: Schema) -> Result<Self, Error> {
        let failed = |verb| move |source| Error::File { verb, path: path.to_owned(), source };
        let started_ms = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let nameless = || failed("read the time in the name of")(std::io::ErrorKind::InvalidData.into());
        let started_ms: u64 = started_ms.ok_or_else(nameless)?;
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
        let ended_ms = millis(modified.map_err(failed("look at"))?);
        // With the right to write, so that a log that a crash left behind is brought in.
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            return Err(Error::Corrupt("another version"));
        }
        let count: i64 = connection.query_row(schema.count, [], |row| row.get(0))?;
        Ok(Self::new(path.to_owned(), started_ms, ended_ms.max(started_ms), count.unsigned_abs()))
    }

    fn new(path: PathBuf, started_ms: u64, ended_ms: u64, count: u64) -> Self {
        let segment = Self {
            path,
            started: UNIX_EPOCH + Duration::from_millis(started_ms),
            ended_ms: AtomicU64::new(ended_ms),
            bytes: AtomicU64::new(0),
            count: AtomicU64::new(count),
            idle: Mutex::default(),
        };
        segment.measure();
        segment
    }

    /// A connection that writes: commits survive the death of the process, and are flushed at checkpoints.
    pub(super) fn writer(&self) -> Result<Connection, Error> {
        let connection = open(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch(
            "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 8388608;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    /// Reads with a connection of its own, which sees what is committed.
    ///
    /// # Errors
    /// What `read` says, or [`Error::Engine`] where the file cannot be opened.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.reader()?,
        };
        let answer = read(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }

    fn reader(&self) -> Result<Connection, Error> {
        let connection = open(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -256;")?;
        connection.set_prepared_statement_cache_capacity(16);
        Ok(connection)
    }

    /// When the first item came.
    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    /// When the last item came.
    pub(crate) fn ended(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.ended_ms.load(Ordering::Relaxed))
    }

    /// Its size on disk, with its log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The items in it.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn wrote(&self, items: u64, now: SystemTime) {
        self.count.fetch_add(items, Ordering::Relaxed);
        self.ended_ms.fetch_max(millis(now), Ordering::Relaxed);
        self.measure();
    }

    pub(super) fn measure(&self) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let bytes = size(&self.path) + size(&self.beside("-wal"));
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn unlink(&self) {
        for path in [self.path.clone(), self.beside("-wal"), self.beside("-shm")] {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(file = %path.display(), %error, "a file of the store cannot be deleted");
            }
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
