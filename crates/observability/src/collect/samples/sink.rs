//! The writer's side: the log twice a second, and a cut of all chunks into a segment every ten minutes.

use super::block::{Block, SERIES_MAX, encode_dictionary};
use super::chunk::Chunk;
use super::head::Head;
use super::tail::Tail;
use crate::collect::Error;
use crate::collect::promql::Labels;
use crate::collect::segment::{Directory, Schema, Turn};
use crate::collect::writer::Sink;
use onefold_core::Clock;
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const SCHEMA: Schema = Schema {
    create: "CREATE TABLE blocks (first_series INTEGER NOT NULL, last_series INTEGER NOT NULL, \
             start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, samples INTEGER NOT NULL, data BLOB NOT NULL); \
             CREATE TABLE series (data BLOB NOT NULL);",
    count: "SELECT coalesce(sum(samples), 0) FROM blocks",
};

/// How much of a series one chunk holds: 120 samples, where they come each five seconds.
const CUT_EVERY: Duration = Duration::from_mins(10);
/// And no more samples than these, so that memory and log stay small.
const CUT_SAMPLES: usize = 4_000_000;
const CUT_LOG_BYTES: u64 = 64 << 20;
/// How much later than a sample's time it may arrive and still be on time for its segment.
const LATE_MS: i64 = 3_600_000;

#[derive(Debug)]
pub(super) struct Writer {
    head: Arc<Mutex<Head>>,
    directory: Directory,
    tail: Tail,
    clock: Clock,
    last_cut: Instant,
    /// Chunks that are taken from the head and not committed yet.
    pending: Option<Arc<Vec<(u32, Chunk)>>>,
    /// The series whose labels are in the current segment.
    named: HashSet<u32>,
}

impl Writer {
    pub(super) fn new(head: Arc<Mutex<Head>>, directory: Directory, tail: Tail, clock: Clock) -> Self {
        let last_cut = clock.now();
        Self { head, directory, tail, clock, last_cut, pending: None, named: HashSet::new() }
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the log, and after [`CUT_EVERY`] all chunks.
    fn write(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        let now_ms = millis(self.clock.wall());
        let mut head = self.head();
        let due = self.pending.is_none()
            && head.open_count() > 0
            && (now.saturating_duration_since(self.last_cut) >= CUT_EVERY
                || head.open_count() >= CUT_SAMPLES
                || self.tail.bytes() >= CUT_LOG_BYTES);
        let unwritten = head.take_unwritten();
        let cut = due.then(|| head.cut(now_ms));
        drop(head);
        let logged = self.tail.append(&unwritten);
        if let Some(cut) = cut {
            self.last_cut = now;
            self.pending = Some(cut);
        }
        if let Some(chunks) = self.pending.clone() {
            self.store(&chunks)?;
            self.pending = None;
            self.head().cut_is_stored();
            if due {
                self.tail.clear()?;
            }
        }
        logged
    }

    fn store(&mut self, chunks: &[(u32, Chunk)]) -> Result<(), Error> {
        let blocks = chunks.chunks(SERIES_MAX).map(Block::encode).collect::<Result<Vec<_>, _>>()?;
        let blocks: Vec<Block> = blocks.into_iter().flatten().collect();
        let mut series = labelled(&self.head(), chunks);
        let (_, connection, turn) = self.directory.current()?;
        if turn == Turn::Fresh {
            self.named.clear();
        }
        series.retain(|(id, _)| !self.named.contains(id));
        insert(connection, &series, &blocks)?;
        self.named.extend(series.into_iter().map(|(id, _)| id));
        self.directory.wrote(blocks.iter().map(|block| block.samples).sum());
        Ok(())
    }

    fn forget(&self) {
        if let Some(oldest) = self.directory.segments().oldest() {
            self.head().forget_before(millis(oldest) - LATE_MS);
        }
    }
}

fn labelled(head: &Head, chunks: &[(u32, Chunk)]) -> Vec<(u32, Labels)> {
    chunks.iter().filter_map(|(id, _)| Some((*id, head.labels(*id)?.clone()))).collect()
}

fn insert(connection: &mut Connection, series: &[(u32, Labels)], blocks: &[Block]) -> Result<(), Error> {
    let transaction = connection.transaction()?;
    if !series.is_empty() {
        let dictionary = encode_dictionary(series)?;
        transaction.prepare_cached("INSERT INTO series (data) VALUES (?1)")?.execute([dictionary])?;
    }
    let mut into = transaction.prepare_cached(
        "INSERT INTO blocks (first_series, last_series, start_ms, end_ms, samples, data) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for block in blocks {
        let samples = block.samples.cast_signed();
        into.execute(params![
            block.first_series,
            block.last_series,
            block.start_ms,
            block.end_ms,
            samples,
            block.bytes
        ])?;
    }
    drop(into);
    transaction.commit()?;
    Ok(())
}

pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Sink for Writer {
    /// Samples wait in the head, not in the channel.
    type Batch = ();

    fn take(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.write()
    }

    fn rest(&mut self) {
        self.directory.reclaim();
        self.forget();
    }
}
