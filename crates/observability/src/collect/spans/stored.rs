//! Reads a block: columns to spans.

use super::span::{EventView, LinkView, SpanView};
use crate::collect::Error;
use crate::collect::block::{Cursor, ShapeReader, corrupt, get_attributes, read_columns, read_shared};
use crate::collect::source::ResourceView;
use std::borrow::Cow;

/// The last two are what the spans share.
pub(super) const COLUMNS: usize = 17;

/// Trace ids, one for each run of spans.
pub(super) const TRACES: usize = 0;
/// How many spans each run has.
pub(super) const RUNS: usize = 1;
pub(super) const IDS: usize = 2;
pub(super) const PARENTS: usize = 3;
pub(super) const FOREIGN_PARENTS: usize = 4;
/// Nanoseconds since the span before, the first since 1970.
pub(super) const STARTS: usize = 5;
pub(super) const DURATIONS: usize = 6;
pub(super) const NAMES: usize = 7;
/// Resource and scope of each span.
pub(super) const SOURCES: usize = 8;
/// Kind in the lowest three bits, status in the next two, then whether there is a message.
pub(super) const KINDS: usize = 9;
pub(super) const MESSAGES: usize = 10;
pub(super) const ATTRIBUTES: usize = 11;
/// Twice the events, plus one if a number of links follows.
pub(super) const COUNTS: usize = 12;
pub(super) const EVENTS: usize = 13;
pub(super) const LINKS: usize = 14;

pub(super) const PARENT_NONE: u64 = 0;
/// Its id stands among the foreign parents.
pub(super) const PARENT_ELSEWHERE: u64 = 1;
/// Plus the distance back to the parent in the same block, which is at least one.
pub(super) const PARENT_NEAR: u64 = 1;

/// A block's spans with what they share.
pub(super) struct StoredBlock<'a> {
    pub(super) resources: Vec<ResourceView<'a>>,
    pub(super) spans: Vec<StoredSpan<'a>>,
}

/// A span and its place in the block's resources.
pub(super) struct StoredSpan<'a> {
    pub(super) span: SpanView<'a>,
    pub(super) resource: usize,
    pub(super) scope: &'a str,
}

/// Reads the spans of a block.
///
/// # Errors
/// [`Error::Corrupt`], where the bytes are not what was written.
pub(super) fn read<'a>(columns: &[u8], texts: &'a [&'a str]) -> Result<StoredBlock<'a>, Error> {
    let columns: [Cursor<'_>; COLUMNS] = read_columns(columns)?;
    let (shapes, resources) = read_shared(&columns, texts)?;
    let mut reader = SpanReader { columns, texts, shapes, trace: 0, run: 0, start_ns: 0, ids: Vec::new() };
    let mut spans = Vec::with_capacity(columns[IDS].0.len() / 8);
    while let Some(span) = reader.next()? {
        spans.push(span);
    }
    Ok(StoredBlock { resources, spans })
}

struct SpanReader<'a, 'c> {
    columns: [Cursor<'c>; COLUMNS],
    texts: &'a [&'a str],
    shapes: ShapeReader<'a>,
    trace: u128,
    run: u64,
    start_ns: u64,
    ids: Vec<u64>,
}

impl<'a> SpanReader<'a, '_> {
    fn next(&mut self) -> Result<Option<StoredSpan<'a>>, Error> {
        if self.run == 0 {
            if self.columns[TRACES].is_empty() {
                return Ok(None);
            }
            self.trace = u128::from_be_bytes(self.columns[TRACES].array()?);
            self.run = self.columns[RUNS].number()?;
        }
        self.run = self.run.checked_sub(1).ok_or_else(corrupt)?;
        let id = u64::from_be_bytes(self.columns[IDS].array()?);
        let parent = self.parent()?;
        self.ids.push(id);
        self.start_ns = self.start_ns.wrapping_add_signed(self.columns[STARTS].signed()?);
        let (kind, status, message) = self.kind()?;
        let mut span = SpanView {
            trace: self.trace,
            id,
            parent,
            name: self.text(NAMES)?.into(),
            kind,
            start_ns: self.start_ns,
            duration_ns: self.columns[DURATIONS].number()?,
            status,
            status_message: message.into(),
            attributes: get_attributes(&mut self.columns[ATTRIBUTES], &self.shapes)?,
            ..SpanView::default()
        };
        self.lists(&mut span)?;
        Ok(Some(StoredSpan { span, resource: self.columns[SOURCES].index()?, scope: self.text(SOURCES)? }))
    }

    fn text(&mut self, column: usize) -> Result<&'a str, Error> {
        self.texts.get(self.columns[column].index()?).copied().ok_or_else(corrupt)
    }

    fn parent(&mut self) -> Result<u64, Error> {
        match self.columns[PARENTS].index()? {
            0 => Ok(0),
            1 => Ok(u64::from_be_bytes(self.columns[FOREIGN_PARENTS].array()?)),
            near => {
                let place = (self.ids.len() + 1).checked_sub(near).ok_or_else(corrupt)?;
                self.ids.get(place).copied().ok_or_else(corrupt)
            }
        }
    }

    fn kind(&mut self) -> Result<(u8, u8, &'a str), Error> {
        let [packed] = self.columns[KINDS].array()?;
        let message = if packed & 1 << 5 == 0 { "" } else { self.text(MESSAGES)? };
        Ok((packed & 7, packed >> 3 & 3, message))
    }

    fn lists(&mut self, span: &mut SpanView<'a>) -> Result<(), Error> {
        let count = self.columns[COUNTS].number()?;
        for _ in 0..count >> 1 {
            let column = &mut self.columns[EVENTS];
            let time_ns = span.start_ns.wrapping_add_signed(column.signed()?);
            let name: Cow<'a, str> = self.texts.get(column.index()?).copied().ok_or_else(corrupt)?.into();
            let attributes = get_attributes(column, &self.shapes)?;
            span.events.push(EventView { time_ns, name, attributes });
        }
        let links = if count & 1 == 0 { 0 } else { self.columns[COUNTS].number()? };
        for _ in 0..links {
            let column = &mut self.columns[LINKS];
            let trace = u128::from_be_bytes(column.array()?);
            let id = u64::from_be_bytes(column.array()?);
            let attributes = get_attributes(column, &self.shapes)?;
            span.links.push(LinkView { trace, span: id, attributes });
        }
        Ok(())
    }
}
