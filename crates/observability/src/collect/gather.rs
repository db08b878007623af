//! What a writer has in memory: items since the last commit, and those of the last block while it is not full.
//!
//! The last block is rarely full. It is written all the same, so that its items are kept and found, and written
//! anew under its number with what comes next, until it is full: no small blocks are left behind.

use super::intake::{Intake, Waiting};
use std::ops::Range;

/// A block's bytes on the wire: one of large items has fewer of them.
const BLOCK_BYTES: usize = 1 << 20;
/// What may wait for a commit, in bytes of the requests that hold it.
const WINDOW_BYTES: u64 = 16 << 20;

/// Items in memory, and the numbers of their blocks.
#[derive(Debug)]
pub(crate) struct Gather<K> {
    items: Vec<Waiting<K>>,
    bytes: u64,
    block_items: usize,
    window_items: usize,
    /// The last block that was written, and whether it will be written anew.
    last: i64,
    tail: bool,
}

impl<K: Ord + Clone> Gather<K> {
    /// Blocks have `block_items` at most; `window_items` are enough for a commit.
    pub(crate) fn new(block_items: usize, window_items: usize) -> Self {
        Self { items: Vec::new(), bytes: 0, block_items, window_items, last: 0, tail: false }
    }

    /// Takes a request's items; answers whether that is enough for a commit.
    pub(crate) fn take(&mut self, intake: Intake<K>) -> bool {
        self.items.extend(intake.items);
        self.bytes += intake.bytes;
        self.items.len() >= self.window_items || self.bytes >= WINDOW_BYTES
    }

    /// Whether anything has come since the last commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.bytes == 0
    }

    /// The file is another one: the last block stays in its own, `last` is the last of this one.
    pub(crate) fn turn(&mut self, last: i64) {
        self.items.retain(|item| item.fresh);
        self.last = last;
        self.tail = false;
    }

    /// Items that are in no file yet.
    pub(crate) fn fresh(&self) -> u64 {
        self.items.iter().filter(|item| item.fresh).count() as u64
    }

    /// Sorts the items; answers the blocks to be written, by number.
    pub(crate) fn blocks(&mut self) -> Vec<(i64, Range<usize>)> {
        self.items.sort_by(|one, other| one.key.cmp(&other.key));
        let first = if self.tail { self.last } else { self.last + 1 };
        let mut blocks = Vec::with_capacity(self.items.len() / self.block_items + 1);
        let (mut begin, mut bytes, mut number) = (0, 0, first);
        for (at, item) in self.items.iter().enumerate() {
            bytes += item.wire.len();
            let full = at + 1 - begin == self.block_items || bytes >= BLOCK_BYTES;
            if full || at + 1 == self.items.len() {
                blocks.push((number, begin..at + 1));
                (begin, bytes, number) = (at + 1, 0, number + 1);
            }
        }
        blocks
    }

    pub(crate) fn items(&self, range: &Range<usize>) -> &[Waiting<K>] {
        &self.items[range.clone()]
    }

    /// The blocks are committed: what is in full ones may go.
    pub(crate) fn settle(&mut self, blocks: &[(i64, Range<usize>)]) {
        self.bytes = 0;
        let Some((number, range)) = blocks.last() else { return };
        self.last = *number;
        self.tail = range.len() < self.block_items;
        let rest = if self.tail { range.clone() } else { 0..0 };
        self.items = self.items[rest].iter().map(Waiting::settled).collect();
    }

    /// The blocks could not be written: what is in memory is lost, or memory would be.
    pub(crate) fn lose(&mut self) {
        self.items.clear();
        self.bytes = 0;
        self.tail = false;
    }
}
