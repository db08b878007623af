//! Builds a block: lines to columns.

use super::line::LineView;
use super::stored::{self, COLUMNS};
use crate::collect::Error;
use crate::collect::block::{Columns, Fast, Items, Packer, Shapes, Texts, item};
use crate::collect::intake::Waiting;
use crate::collect::source::ResourceView;
use std::borrow::Cow;
use std::collections::HashMap;

/// A block as it is stored.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) texts: Vec<u8>,
    pub(super) columns: Vec<u8>,
    pub(super) filter: Vec<u8>,
    pub(super) trigrams: Vec<u8>,
    pub(super) time_min_ns: u64,
    pub(super) time_max_ns: u64,
    pub(super) severity_max: u8,
    pub(super) lines: i64,
}

/// Builds a block of lines that are in the order of time.
///
/// # Errors
/// [`Error`], where zstd has no memory.
pub(super) fn build(waiting: &[Waiting<u64>], packer: &mut Packer) -> Result<Encoded, Error> {
    let mut builder = Builder::default();
    for one in waiting {
        // It has been read before; what does not read now was never let in.
        let Ok(line) = LineView::read(&one.wire) else { continue };
        let resource = builder.resource(&one.source.resource);
        builder.line(&line, resource, &one.source.scope);
    }
    builder.finish(packer)
}

#[derive(Default)]
struct Builder<'a> {
    texts: Texts<'a>,
    shapes: Shapes,
    items: Items,
    columns: Columns<COLUMNS>,
    resources: HashMap<&'a [u8], u64, Fast>,
    traces: HashMap<u128, u64, Fast>,
    last_ns: u64,
    encoded: Encoded,
}

impl<'a> Builder<'a> {
    fn resource(&mut self, bytes: &'a [u8]) -> u64 {
        if let Some(number) = self.resources.get(bytes) {
            return *number;
        }
        let number = self.resources.len() as u64;
        let resource = ResourceView::read(bytes).unwrap_or_default();
        let column = self.columns.column(stored::RESOURCES);
        self.shapes.put(&resource.attributes, &mut self.texts, &mut self.items, column);
        self.items.add(item::service(item::text(resource.service())));
        self.items.add(item::node(item::text(resource.node().unwrap_or_default())));
        self.resources.insert(bytes, number);
        number
    }

    fn line(&mut self, line: &LineView<'a>, resource: u64, scope: &'a str) {
        let columns = &mut self.columns;
        columns.signed(stored::TIMES, line.time_ns.wrapping_sub(self.last_ns).cast_signed());
        self.last_ns = line.time_ns;
        columns.bytes(stored::SEVERITIES, &[line.severity]);
        columns.number(stored::BODIES, self.texts.number(&line.body).into());
        columns.number(stored::SOURCES, resource);
        columns.number(stored::SOURCES, self.texts.number(&Cow::Borrowed(scope)).into());
        let column = columns.column(stored::ATTRIBUTES);
        self.shapes.put(&line.attributes, &mut self.texts, &mut self.items, column);
        self.trace(line);
        let encoded = &mut self.encoded;
        encoded.time_min_ns =
            if encoded.lines == 0 { line.time_ns } else { encoded.time_min_ns.min(line.time_ns) };
        encoded.time_max_ns = encoded.time_max_ns.max(line.time_ns);
        encoded.severity_max = encoded.severity_max.max(super::Level::of(line.severity).severity());
        encoded.lines += 1;
    }

    fn trace(&mut self, line: &LineView<'a>) {
        if line.trace == 0 {
            self.columns.number(stored::TRACES, 0);
            return;
        }
        let next = self.traces.len() as u64 + 1;
        let place = *self.traces.entry(line.trace).or_insert(next);
        if place == next {
            self.columns.bytes(stored::TRACE_IDS, &line.trace.to_be_bytes());
            self.items.add(item::trace(line.trace));
        }
        self.columns.number(stored::TRACES, place);
        self.columns.bytes(stored::SPANS, &line.span.to_be_bytes());
    }

    fn finish(mut self, packer: &mut Packer) -> Result<Encoded, Error> {
        *self.columns.column(stored::SHAPES) = self.shapes.into_bytes();
        let (texts, trigrams) = self.texts.into_parts();
        Ok(Encoded {
            texts: packer.pack(&texts)?,
            columns: packer.pack(&self.columns.into_bytes())?,
            filter: self.items.filter(),
            trigrams,
            ..self.encoded
        })
    }
}
