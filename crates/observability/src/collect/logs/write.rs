//! The writer of log lines: shows them to who follows, gathers half a second, writes blocks in one transaction.

use super::encode::{Encoded, build};
use super::line::LineView;
use super::model::Line;
use crate::collect::Error;
use crate::collect::block::{LAST_BLOCK, Packer, TABLES};
use crate::collect::gather::Gather;
use crate::collect::intake::{Intake, Judgement};
use crate::collect::ledger::Ledger;
use crate::collect::segment::{Directory, Schema, Turn};
use crate::collect::source::ResourceView;
use crate::collect::wire::Malformed;
use crate::collect::writer::Sink;
use rusqlite::{Connection, params};
use std::sync::Arc;
use tokio::sync::broadcast;

pub(super) const SCHEMA: Schema = Schema {
    create: &[TABLES, "
        CREATE TABLE filter (block INTEGER PRIMARY KEY, time_min_ns INTEGER NOT NULL, time_max_ns INTEGER NOT NULL,
            lines INTEGER NOT NULL, severity_max INTEGER NOT NULL, bloom BLOB NOT NULL) STRICT;
        CREATE INDEX filter_by_time ON filter (time_max_ns);"],
    count: "SELECT coalesce(sum(lines), 0) FROM filter",
};

const PUT_FILTER: &str = "INSERT OR REPLACE INTO filter (block, time_min_ns, time_max_ns, lines, severity_max, bloom) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const BLOCK_LINES: usize = 2048;
const WINDOW_LINES: usize = 8 * BLOCK_LINES;

/// Reads one log record of a request; its key is its time.
pub(crate) fn judge(bytes: &[u8]) -> Result<Judgement<u64>, Malformed> {
    let line = LineView::read(bytes)?;
    Ok(if line.time_ns == 0 { Err("a log record has no time") } else { Ok(line.time_ns) })
}

/// The writer's state.
pub(super) struct LogSink {
    directory: Directory,
    ledger: Ledger,
    packer: Packer,
    gather: Gather<u64>,
    live: broadcast::Sender<Arc<Line>>,
}

impl LogSink {
    pub(super) fn new(
        directory: Directory,
        ledger: Ledger,
        live: broadcast::Sender<Arc<Line>>,
    ) -> Result<Self, Error> {
        let gather = Gather::new(BLOCK_LINES, WINDOW_LINES);
        Ok(Self { directory, ledger, packer: Packer::new()?, gather, live })
    }

    /// Nothing is made for nobody.
    fn show(&self, batch: &Intake<u64>) {
        if self.live.receiver_count() == 0 {
            return;
        }
        for item in &batch.items {
            let Ok(line) = LineView::read(&item.wire) else { continue };
            let source = ResourceView::read(&item.source.resource).unwrap_or_default();
            let _ = self.live.send(Arc::new(Line::of(&line, &source, &item.source.scope)));
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        let (_, connection, turn) = self.directory.current()?;
        if turn == Turn::Fresh {
            self.gather.turn(connection.query_row(LAST_BLOCK, [], |row| row.get(0))?);
        }
        let (fresh, blocks) = (self.gather.fresh(), self.gather.blocks());
        let transaction = connection.transaction()?;
        for (number, range) in &blocks {
            let encoded = build(self.gather.items(range), &mut self.packer)?;
            put(&transaction, *number, &encoded)?;
        }
        self.ledger.tally(&transaction, fresh)?;
        transaction.commit()?;
        self.ledger.stored(fresh);
        self.gather.settle(&blocks);
        self.directory.wrote(fresh);
        Ok(())
    }
}

impl Sink for LogSink {
    type Batch = Intake<u64>;

    fn take(&mut self, batch: Self::Batch) -> Result<(), Error> {
        self.show(&batch);
        if self.gather.take(batch) { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.gather.is_idle() {
            return Ok(());
        }
        self.write().inspect_err(|_| {
            self.ledger.gave_up(self.gather.fresh());
            self.gather.lose();
        })
    }

    fn rest(&mut self) {
        self.directory.reclaim();
    }
}

fn put(connection: &Connection, number: i64, encoded: &Encoded) -> Result<(), Error> {
    encoded.packed.put(connection, number)?;
    let extent = encoded.extent;
    let (min, max) = (extent.time_min_ns.cast_signed(), extent.time_max_ns.cast_signed());
    let mut put = connection.prepare_cached(PUT_FILTER)?;
    put.execute(params![number, min, max, extent.lines, extent.severity_max, encoded.packed.filter])?;
    Ok(())
}
