//! What was acknowledged against what is stored, so that after a death the observer can say what it cost.
//!
//! The numbers stand in a file of forty bytes that is written over with each request and each commit, without a
//! sync: the kernel keeps it when the process dies. What is stored is also told by the store itself, in the same
//! transaction as the items, so that a death between the two is counted right. When the machine dies, the kernel
//! may have written one of them and not the other, and the count is as good as the disk.

use super::Error;
use onefold_core::Clock;
use rusqlite::{Connection, OptionalExtension as _};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// In each segment: how many items of an epoch were stored, as of the last commit into it.
pub(crate) const TABLE: &str =
    "CREATE TABLE tally (epoch INTEGER PRIMARY KEY, stored INTEGER NOT NULL) STRICT;";
const TALLY: &str = "INSERT OR REPLACE INTO tally (epoch, stored) VALUES (?1, ?2)";
const TALLIED: &str = "SELECT stored FROM tally WHERE epoch = ?1";

const MAGIC: u64 = u64::from_le_bytes(*b"onefold1");
const BYTES: usize = 40;

/// The ledger of one signal. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    signal: &'static str,
    file: File,
    page: Page,
    /// That the file cannot be written is told once.
    broken: bool,
}

/// Items by what became of them since this process began; `lost` since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Page {
    /// Tells this process from those before it.
    epoch: u64,
    taken: u64,
    stored: u64,
    lost: u64,
}

impl Ledger {
    /// Opens or makes the file, and counts what the last process lost: `stored` tells how many items of an epoch the
    /// store itself knows.
    ///
    /// # Errors
    /// [`Error::File`], or what `stored` says.
    pub(crate) fn open(
        signal: &'static str,
        path: &Path,
        clock: &Clock,
        stored: impl FnOnce(u64) -> Result<u64, Error>,
    ) -> Result<Self, Error> {
        let failed = |verb| move |source| Error::File { verb, path: path.to_owned(), source };
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = options().map_err(failed("open"))?;
        let mut page = Page::default();
        let mut bytes = [0; BYTES];
        if file.read_exact_at(&mut bytes, 0).is_ok()
            && let Some(last) = Page::read(&bytes)
        {
            let lost = last.taken.saturating_sub(last.stored.max(stored(last.epoch)?));
            if lost > 0 {
                tracing::warn!(
                    signal,
                    lost,
                    "the observer died with acknowledged telemetry that it had not stored"
                );
            }
            page = Page { epoch: last.epoch + 1, lost: last.lost + lost, ..page };
        }
        let now = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        page.epoch = page.epoch.max(u64::try_from(now.as_millis()).unwrap_or(0));
        file.write_all_at(&page.bytes(), 0).map_err(failed("write"))?;
        Ok(Self(Arc::new(Mutex::new(Book { signal, file, page, broken: false }))))
    }

    /// To be called before the sender is told.
    pub(crate) fn taken(&self, items: u64) {
        self.change(|page| page.taken += items);
    }

    /// To be called after the commit.
    pub(crate) fn stored(&self, items: u64) {
        self.change(|page| page.stored += items);
    }

    /// Items that were taken and can no longer be stored.
    pub(crate) fn gave_up(&self, items: u64) {
        self.change(|page| {
            page.stored += items;
            page.lost += items;
        });
    }

    /// Items that were acknowledged and lost, since the store was made.
    pub(crate) fn lost(&self) -> u64 {
        self.book().page.lost
    }

    /// Tells a segment, in the transaction that stores so many more items.
    ///
    /// # Errors
    /// [`Error::Engine`].
    pub(crate) fn tally(&self, transaction: &Connection, items: u64) -> Result<(), Error> {
        let (epoch, stored) = self.mark(items);
        transaction.prepare_cached(TALLY)?.execute([epoch.cast_signed(), stored.cast_signed()])?;
        Ok(())
    }

    /// This process' epoch, and how many items will be stored once so many more are.
    pub(crate) fn mark(&self, items: u64) -> (u64, u64) {
        let page = self.book().page;
        (page.epoch, page.stored + items)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Page)) {
        let mut book = self.book();
        change(&mut book.page);
        let written = book.file.write_all_at(&book.page.bytes(), 0);
        if let Err(error) = written
            && !std::mem::replace(&mut book.broken, true)
        {
            tracing::error!(signal = book.signal, %error, "what a death would lose cannot be counted");
        }
    }
}

/// What a segment was told of an epoch.
pub(crate) fn tallied(connection: &Connection, epoch: u64) -> Result<Option<u64>, Error> {
    let stored =
        connection.query_row(TALLIED, [epoch.cast_signed()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(stored.map(i64::cast_unsigned))
}

impl Page {
    fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let words = [MAGIC, self.epoch, self.taken, self.stored, self.lost];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    fn read(bytes: &[u8; BYTES]) -> Option<Self> {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        words.next().filter(|magic| *magic == MAGIC)?;
        let mut next = || words.next();
        Some(Self { epoch: next()?, taken: next()?, stored: next()?, lost: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_counts_what_the_last_one_had_not_stored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let clock = Clock::manual();
        let open = |stored: u64| Ledger::open("spans", &path, &clock, |_| Ok(stored)).unwrap();
        let ledger = open(0);
        ledger.taken(100);
        ledger.stored(40);
        let (epoch, mark) = ledger.mark(30);
        assert_eq!(mark, 70);
        // It dies between the commit of 30 more and its note of them: the store knows 70.
        let ledger = open(70);
        assert_eq!(ledger.lost(), 30);
        assert!(ledger.mark(0).0 > epoch, "what the store knows of the last process is not this one's");
        ledger.taken(5);
        ledger.gave_up(2);
        assert_eq!(ledger.lost(), 32, "a commit that failed costs at once");
        ledger.stored(3);
        assert_eq!(open(0).lost(), 32, "everything was stored or given up");
        std::fs::write(&path, b"damaged").unwrap();
        assert_eq!(open(0).lost(), 0);
    }
}
