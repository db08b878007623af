//! The writer's side: the log twice a second, and a cut of all chunks into a segment every ten minutes.

use super::block::{Block, SERIES_MAX, encode_dictionary};
use super::chunk::Chunk;
use super::head::{Cut, Head, Unwritten};
use super::tail::Tail;
use crate::collect::Error;
use crate::collect::block::Packer;
use crate::collect::ledger::Ledger;
use crate::collect::promql::Labels;
use crate::collect::segment::{Directory, Schema, Turn};
use crate::collect::writer::Sink;
use onefold_core::Clock;
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const SCHEMA: Schema = Schema {
    create: &[
        "CREATE TABLE blocks (start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, samples INTEGER NOT NULL, \
             series BLOB NOT NULL, data BLOB NOT NULL); \
             CREATE INDEX blocks_by_end ON blocks (end_ms, start_ms); \
             CREATE TABLE series (data BLOB NOT NULL);",
    ],
    count: "SELECT coalesce(sum(samples), 0) FROM blocks",
};

/// How much of a series one chunk holds: 120 samples, where they come each five seconds.
const CUT_EVERY: Duration = Duration::from_mins(10);
/// And no more samples than these, so that memory and log stay small.
const CUT_SAMPLES: usize = 4_000_000;
const CUT_LOG_BYTES: u64 = 64 << 20;
/// The log's share of what the signal may take on disk, where that is less.
const LOG_SHARES: u64 = 8;
/// How much later than a sample's time it may arrive and still be on time for its segment.
const LATE_MS: i64 = 3_600_000;

pub(super) struct Writer {
    head: Arc<Mutex<Head>>,
    files: Files,
    packer: Packer,
    clock: Clock,
    last_cut: Instant,
    /// Chunks that are taken from the head and not committed yet.
    pending: Option<Arc<Cut>>,
    /// Samples that the log could not take; the next cut has them.
    unlogged: u64,
    /// The series whose labels are in the current segment.
    named: HashSet<u32>,
}

/// What is written.
pub(super) struct Files {
    pub(super) directory: Directory,
    pub(super) tail: Tail,
    pub(super) ledger: Ledger,
}

impl Writer {
    pub(super) fn new(head: Arc<Mutex<Head>>, files: Files, clock: Clock) -> Result<Self, Error> {
        let (last_cut, packer) = (clock.now(), Packer::new()?);
        let (pending, unlogged, named) = (None, 0, HashSet::new());
        files.directory.segments().set_beside(files.tail.bytes());
        Ok(Self { head, files, packer, clock, last_cut, pending, unlogged, named })
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
                || self.files.tail.bytes() >= self.log_bytes_max());
        let unwritten = head.take_unwritten();
        let cut = due.then(|| head.cut(now_ms));
        drop(head);
        let logged = self.log(&unwritten);
        if let Some(cut) = cut {
            self.last_cut = now;
            self.pending = Some(cut);
        }
        if let Some(chunks) = self.pending.clone() {
            self.store(&chunks)?;
            self.pending = None;
            self.head().cut_is_stored();
            if due {
                self.files.tail.clear()?;
                self.files.ledger.stored(std::mem::take(&mut self.unlogged));
                self.reclaim();
            }
        }
        logged
    }

    fn log(&mut self, unwritten: &Unwritten) -> Result<(), Error> {
        let samples = unwritten.samples.len() as u64;
        let mark = self.files.ledger.mark(samples);
        match self.files.tail.append(unwritten, mark) {
            Ok(()) => self.files.ledger.stored(samples),
            Err(error) => {
                self.unlogged += samples;
                return Err(error);
            }
        }
        self.reclaim();
        Ok(())
    }

    fn log_bytes_max(&self) -> u64 {
        CUT_LOG_BYTES.min(self.files.directory.bounds().bytes_max / LOG_SHARES)
    }

    /// Segments make room for the log.
    fn reclaim(&mut self) {
        self.files.directory.segments().set_beside(self.files.tail.bytes());
        self.files.directory.reclaim();
    }

    fn store(&mut self, cut: &Cut) -> Result<(), Error> {
        let mut series = labelled(&self.head(), cut);
        let chunks = in_order(cut, &series);
        let encode = |chunks: &[(u32, &Chunk)]| Block::encode(chunks, &mut self.packer);
        let blocks: Vec<Block> = chunks.chunks(SERIES_MAX).map(encode).collect::<Result<_, _>>()?;
        let (_, connection, turn) = self.files.directory.current()?;
        if turn == Turn::Fresh {
            self.named.clear();
        }
        series.retain(|(id, _)| !self.named.contains(id));
        insert(connection, &series, &blocks, &mut self.packer)?;
        self.named.extend(series.into_iter().map(|(id, _)| id));
        self.files.directory.wrote(blocks.iter().map(|block| block.samples).sum());
        Ok(())
    }

    fn forget(&self) {
        if let Some(oldest) = self.files.directory.segments().oldest() {
            self.head().forget_before(millis(oldest) - LATE_MS);
        }
    }
}

/// By id.
fn labelled(head: &Head, cut: &Cut) -> Vec<(u32, Labels)> {
    cut.iter().filter_map(|(id, _)| Some((*id, head.labels(*id)?.clone()))).collect()
}

/// The chunks by their turn in their series, and then by labels: those of a metric, at a time, side by side.
fn in_order<'c>(cut: &'c Cut, series: &[(u32, Labels)]) -> Vec<(u32, &'c Chunk)> {
    let labels = |id: u32| series.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &series[at].1);
    let mut by_labels: Vec<&(u32, Vec<Chunk>)> = cut.iter().collect();
    by_labels.sort_by_cached_key(|(id, _)| labels(*id));
    let turns = cut.iter().map(|(_, chunks)| chunks.len()).max().unwrap_or(0);
    let of_turn =
        |turn: usize| by_labels.iter().filter_map(move |(id, chunks)| Some((*id, chunks.get(turn)?)));
    (0..turns).flat_map(of_turn).collect()
}

fn insert(
    connection: &mut Connection,
    series: &[(u32, Labels)],
    blocks: &[Block],
    packer: &mut Packer,
) -> Result<(), Error> {
    let transaction = connection.transaction()?;
    if !series.is_empty() {
        let dictionary = encode_dictionary(series, packer)?;
        transaction.prepare_cached("INSERT INTO series (data) VALUES (?1)")?.execute([dictionary])?;
    }
    let mut into = transaction.prepare_cached(
        "INSERT INTO blocks (start_ms, end_ms, samples, series, data) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for block in blocks {
        let samples = block.samples.cast_signed();
        into.execute(params![block.start_ms, block.end_ms, samples, block.series, block.bytes])?;
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
        self.files.directory.reclaim();
        self.forget();
    }
}
