//! Reads traces: from their rows to their blocks to their spans.

use super::model::{self, Linked, Span, Trace};
use super::stored::{self, StoredBlock};
use crate::collect::Error;
use crate::collect::block::{read_texts, unpack};
use crate::collect::segment::{Segment, Segments};
use rusqlite::{Connection, OptionalExtension as _};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

// On the key of the table.
const BLOCK: &str = "SELECT texts, columns FROM block WHERE id = ?1";
// On the index trace_by_id.
const PLACES: &str = "SELECT blocks FROM trace WHERE low = ?1 AND high = ?2";
// On the key of the table.
const LINKS: &str = "SELECT block FROM link WHERE low = ?1";

/// Blocks that are remembered while a question is answered: neighbours in time share them.
const REMEMBERED_MAX: usize = 64;
/// Spans that link to a trace are listed up to here.
const LINKED_MAX: usize = 256;

/// A block's parts.
pub(super) struct Unpacked {
    pub(super) texts: Vec<u8>,
    /// Packed until they are asked for: a search for text may not come so far.
    columns: Vec<u8>,
    plain: OnceCell<Vec<u8>>,
}

impl Unpacked {
    /// Hands the spans to `with`; a block that does not read is told once and counts as empty.
    pub(super) fn read<T: Default>(&self, with: impl FnOnce(&StoredBlock<'_>) -> T) -> T {
        let read =
            read_texts(&self.texts).and_then(|texts| Ok(with(&stored::read(self.columns()?, &texts)?)));
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, "a block of spans is passed over");
            T::default()
        })
    }

    fn columns(&self) -> Result<&[u8], Error> {
        if let Some(columns) = self.plain.get() {
            return Ok(columns);
        }
        let columns = unpack(&self.columns)?;
        Ok(self.plain.get_or_init(|| columns))
    }
}

/// Blocks that were read while one question is answered, by file and number.
#[derive(Clone, Default)]
pub(super) struct Memory(Rc<RefCell<Read>>);

type Read = HashMap<(SystemTime, i64), Rc<Unpacked>>;

/// The blocks of one segment, for one question.
pub(super) struct Blocks<'c> {
    connection: &'c Connection,
    file: SystemTime,
    memory: Memory,
}

impl<'c> Blocks<'c> {
    pub(super) fn new(connection: &'c Connection, segment: &Segment, memory: &Memory) -> Self {
        Self { connection, file: segment.started(), memory: memory.clone() }
    }

    /// A block, or none if it is not there or does not read.
    pub(super) fn get(&self, id: i64) -> Result<Option<Rc<Unpacked>>, Error> {
        if let Some(block) = self.memory.0.borrow().get(&(self.file, id)) {
            return Ok(Some(Rc::clone(block)));
        }
        let mut statement = self.connection.prepare_cached(BLOCK)?;
        let row = statement.query_row([id], |row| {
            let (texts, columns) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            let columns = columns.to_vec();
            Ok(unpack(texts).map(|texts| Unpacked { texts, columns, plain: OnceCell::new() }))
        });
        let block = match row.optional()? {
            None => return Ok(None),
            Some(Err(error)) => {
                tracing::warn!(block = id, %error, "a block of spans is passed over");
                return Ok(None);
            }
            Some(Ok(block)) => Rc::new(block),
        };
        let mut memory = self.memory.0.borrow_mut();
        if memory.len() >= REMEMBERED_MAX {
            memory.clear();
        }
        memory.insert((self.file, id), Rc::clone(&block));
        Ok(Some(block))
    }

    /// The spans of a trace in this segment.
    pub(super) fn spans(&self, trace: u128) -> Result<Vec<Span>, Error> {
        let mut places = BTreeSet::new();
        let mut statement = self.connection.prepare_cached(PLACES)?;
        let (high, low) = halves(trace);
        let mut rows = statement.query([low, high])?;
        while let Some(row) = rows.next()? {
            places.extend(super::summary::read_places(row.get_ref(0)?.as_blob().unwrap_or_default()));
        }
        let mut spans = Vec::new();
        for place in places {
            if let Some(block) = self.get(place)? {
                spans.extend(block.read(|block| model::spans_of(block, trace)));
            }
        }
        Ok(spans)
    }

    fn linked(&self, trace: u128) -> Result<Vec<Linked>, Error> {
        let mut statement = self.connection.prepare_cached(LINKS)?;
        let places = statement.query_map([halves(trace).1], |row| row.get::<_, i64>(0))?;
        let places: Vec<i64> = places.collect::<Result<_, _>>()?;
        let mut linked = Vec::new();
        for place in places {
            if let Some(block) = self.get(place)? {
                linked.extend(block.read(|block| linked_in(block, trace)));
            }
        }
        Ok(linked)
    }
}

fn linked_in(block: &StoredBlock<'_>, trace: u128) -> Vec<Linked> {
    let spans = block.spans.iter().map(|stored| &stored.span);
    let elsewhere =
        spans.filter(|span| span.trace != trace && span.links.iter().any(|link| link.trace == trace));
    elsewhere
        .map(|span| Linked {
            trace_id: span.trace,
            span_id: span.id,
            operation: span.name.clone().into_owned(),
        })
        .collect()
}

/// The two halves of an id as the engine's integers; the lower one is random in every kind of id.
#[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits have 64 each")]
pub(super) fn halves(id: u128) -> (i64, i64) {
    (((id >> 64) as u64).cast_signed(), (id as u64).cast_signed())
}

/// The id of two halves.
pub(super) fn whole(high: i64, low: i64) -> u128 {
    u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned())
}

/// A whole trace from all segments.
pub(super) fn trace(segments: &Segments, id: u128) -> Result<Option<Trace>, Error> {
    let mut spans = Vec::new();
    let mut linked = BTreeSet::new();
    let memory = Memory::default();
    for segment in segments.newest_first() {
        segment.read(|connection| {
            let blocks = Blocks::new(connection, &segment, &memory);
            spans.extend(blocks.spans(id)?);
            linked.extend(blocks.linked(id)?);
            Ok(())
        })?;
    }
    let linked = linked.into_iter().take(LINKED_MAX).collect();
    Ok((!spans.is_empty()).then(|| Trace::of(id, spans, linked)))
}

/// A trace as far as it lies in these segments.
pub(super) fn part(segments: &[Arc<Segment>], id: u128, memory: &Memory) -> Result<Vec<Span>, Error> {
    let mut spans = Vec::new();
    for segment in segments {
        spans.extend(segment.read(|connection| Blocks::new(connection, segment, memory).spans(id))?);
    }
    Ok(spans)
}
