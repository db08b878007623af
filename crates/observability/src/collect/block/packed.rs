//! A block as it is stored, and the tables that all signals of blocks have alike.

use crate::collect::Error;
use rusqlite::{Connection, params};

/// A block of items, and of their texts' trigrams: the filter stands in the signal's own table, with what it sorts by.
pub(crate) const TABLES: &str = "
    CREATE TABLE block (id INTEGER PRIMARY KEY, texts BLOB NOT NULL, columns BLOB NOT NULL) STRICT;
    CREATE TABLE trigram (block INTEGER PRIMARY KEY, bits BLOB NOT NULL) STRICT;";
/// The last block of a file, or 0.
pub(crate) const LAST_BLOCK: &str = "SELECT coalesce(max(id), 0) FROM block";

const PUT_BLOCK: &str = "INSERT OR REPLACE INTO block (id, texts, columns) VALUES (?1, ?2, ?3)";
const PUT_TRIGRAMS: &str = "INSERT OR REPLACE INTO trigram (block, bits) VALUES (?1, ?2)";

/// The parts of a block.
pub(crate) struct Packed {
    pub(crate) texts: Vec<u8>,
    pub(crate) columns: Vec<u8>,
    pub(crate) filter: Vec<u8>,
    pub(crate) trigrams: Vec<u8>,
}

impl Packed {
    /// Writes the block, but for its filter, in place of the one of this number.
    ///
    /// # Errors
    /// [`Error::Engine`].
    pub(crate) fn put(&self, connection: &Connection, number: i64) -> Result<(), Error> {
        connection.prepare_cached(PUT_BLOCK)?.execute(params![number, self.texts, self.columns])?;
        connection.prepare_cached(PUT_TRIGRAMS)?.execute(params![number, self.trigrams])?;
        Ok(())
    }
}
