//! The writer of spans: gathers half a second, sorts by trace, writes blocks and rows in one transaction.

use super::encode::{Built, build};
use super::load::halves;
use super::operations::Known;
use super::span::SpanView;
use super::summary::Recent;
use crate::collect::Error;
use crate::collect::block::{LAST_BLOCK, Packer, TABLES};
use crate::collect::gather::Gather;
use crate::collect::intake::{Intake, Judgement};
use crate::collect::ledger::Ledger;
use crate::collect::segment::{Directory, Schema, Turn};
use crate::collect::wire::Malformed;
use crate::collect::writer::Sink;
use rusqlite::{Connection, params};

pub(super) const SCHEMA: Schema = Schema {
    create: &[TABLES, "
        CREATE TABLE filter (block INTEGER PRIMARY KEY, start_min_ms INTEGER NOT NULL, start_max_ms INTEGER NOT NULL,
            spans INTEGER NOT NULL, bloom BLOB NOT NULL) STRICT;
        CREATE TABLE trace (row INTEGER PRIMARY KEY, high INTEGER NOT NULL, low INTEGER NOT NULL,
            start_ms INTEGER NOT NULL, duration_us INTEGER NOT NULL, errors INTEGER NOT NULL, blocks BLOB NOT NULL)
            STRICT;
        CREATE INDEX trace_by_id ON trace (low);
        CREATE INDEX trace_by_start ON trace (start_ms, duration_us, errors);
        CREATE TABLE link (low INTEGER, block INTEGER, PRIMARY KEY (low, block)) STRICT, WITHOUT ROWID;
        CREATE TABLE operation (service TEXT, node TEXT, name TEXT, PRIMARY KEY (service, node, name))
            STRICT, WITHOUT ROWID;"],
    count: "SELECT coalesce(sum(spans), 0) FROM filter",
};

const PUT_FILTER: &str = "INSERT OR REPLACE INTO filter (block, start_min_ms, start_max_ms, spans, bloom) \
    VALUES (?1, ?2, ?3, ?4, ?5)";
const PUT_LINK: &str = "INSERT OR IGNORE INTO link (low, block) VALUES (?1, ?2)";

const BLOCK_SPANS: usize = 256;
/// 64 blocks: a trace whose spans come together lies in one of them.
const WINDOW_SPANS: usize = 16_384;

/// A block's order: trace, then start.
pub(crate) type SpanKey = (u128, u64);

/// Reads one span of a request.
pub(crate) fn judge(bytes: &[u8]) -> Result<Judgement<SpanKey>, Malformed> {
    let span = SpanView::read(bytes)?;
    Ok(match span {
        SpanView { trace: 0, .. } => Err("a span's trace id is not 16 bytes, or zero"),
        SpanView { id: 0, .. } => Err("a span's id is not 8 bytes, or zero"),
        SpanView { start_ns: 0, .. } => Err("a span has no start"),
        span => Ok((span.trace, span.start_ns)),
    })
}

/// The writer's state.
pub(super) struct SpanSink {
    directory: Directory,
    ledger: Ledger,
    packer: Packer,
    gather: Gather<SpanKey>,
    recent: Recent,
    known: Known,
}

impl SpanSink {
    pub(super) fn new(directory: Directory, ledger: Ledger) -> Result<Self, Error> {
        Ok(Self {
            directory,
            ledger,
            packer: Packer::new()?,
            gather: Gather::new(BLOCK_SPANS, WINDOW_SPANS),
            recent: Recent::default(),
            known: Known::default(),
        })
    }

    fn write(&mut self) -> Result<(), Error> {
        let (_, connection, turn) = self.directory.current()?;
        if turn == Turn::Fresh {
            self.gather.turn(connection.query_row(LAST_BLOCK, [], |row| row.get(0))?);
            self.known = Known::read(connection)?;
            self.recent.clear();
        }
        let (fresh, blocks) = (self.gather.fresh(), self.gather.blocks());
        let transaction = connection.transaction()?;
        let mut facts = Vec::new();
        for (number, range) in &blocks {
            let built = build(self.gather.items(range), &mut self.packer)?;
            put(&transaction, *number, &built)?;
            self.known.add(&transaction, built.operations)?;
            facts.extend(built.facts.into_iter().map(|facts| (facts, *number)));
        }
        for trace in facts.chunk_by(|(one, _), (next, _)| one.trace == next.trace) {
            self.recent.write(&transaction, trace)?;
        }
        self.ledger.tally(&transaction, fresh)?;
        transaction.commit()?;
        self.ledger.stored(fresh);
        self.gather.settle(&blocks);
        self.directory.wrote(fresh);
        Ok(())
    }
}

impl Sink for SpanSink {
    type Batch = Intake<SpanKey>;

    fn take(&mut self, batch: Self::Batch) -> Result<(), Error> {
        if self.gather.take(batch) { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.gather.is_idle() {
            return Ok(());
        }
        self.write().inspect_err(|_| {
            self.ledger.gave_up(self.gather.fresh());
            // Rows that were rolled back must not be remembered.
            self.gather.lose();
            self.recent.clear();
            self.known = Known::default();
        })
    }

    fn rest(&mut self) {
        self.directory.reclaim();
    }
}

fn put(connection: &Connection, number: i64, built: &Built) -> Result<(), Error> {
    let encoded = &built.encoded;
    encoded.packed.put(connection, number)?;
    let millis = |nanos: u64| (nanos / 1_000_000).cast_signed();
    let (start_min, start_max) = (millis(encoded.start_min_ns), millis(encoded.start_max_ns));
    let spans = i64::try_from(built.facts.len()).unwrap_or(i64::MAX);
    let mut put = connection.prepare_cached(PUT_FILTER)?;
    put.execute(params![number, start_min, start_max, spans, encoded.packed.filter])?;
    for link in &built.links {
        connection.prepare_cached(PUT_LINK)?.execute([halves(*link).1, number])?;
    }
    Ok(())
}
