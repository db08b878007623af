//! Builds a block: lines to columns.

use super::line::LineView;
use super::stored::{self, COLUMNS};
use crate::collect::Error;
use crate::collect::block::{Columns, Fast, Packed, Packer, Vocabulary, item};
use crate::collect::intake::Waiting;
use std::borrow::Cow;
use std::collections::HashMap;

/// A block as it is stored.
pub(super) struct Encoded {
    pub(super) packed: Packed,
    pub(super) extent: Extent,
}

/// What a block's row says of its lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
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
        let resource = builder.shared.origin(&one.source.resource).number;
        builder.line(&line, resource, &one.source.scope);
    }
    builder.finish(packer)
}

#[derive(Default)]
struct Builder<'a> {
    shared: Vocabulary<'a>,
    columns: Columns<COLUMNS>,
    traces: HashMap<u128, u64, Fast>,
    last_ns: u64,
    extent: Extent,
}

impl<'a> Builder<'a> {
    fn line(&mut self, line: &LineView<'a>, resource: u64, scope: &'a str) {
        let columns = &mut self.columns;
        columns.signed(stored::TIMES, line.time_ns.wrapping_sub(self.last_ns).cast_signed());
        self.last_ns = line.time_ns;
        columns.bytes(stored::SEVERITIES, &[line.severity]);
        columns.number(stored::BODIES, self.shared.number(&line.body).into());
        columns.number(stored::SOURCES, resource);
        columns.number(stored::SOURCES, self.shared.number(&Cow::Borrowed(scope)).into());
        self.shared.attributes(&line.attributes, columns.column(stored::ATTRIBUTES));
        self.trace(line);
        let extent = &mut self.extent;
        extent.time_min_ns =
            if extent.lines == 0 { line.time_ns } else { extent.time_min_ns.min(line.time_ns) };
        extent.time_max_ns = extent.time_max_ns.max(line.time_ns);
        extent.severity_max = extent.severity_max.max(super::Level::of(line.severity).severity());
        extent.lines += 1;
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
            self.shared.add(item::trace(line.trace));
        }
        self.columns.number(stored::TRACES, place);
        self.columns.bytes(stored::SPANS, &line.span.to_be_bytes());
    }

    fn finish(self, packer: &mut Packer) -> Result<Encoded, Error> {
        Ok(Encoded { packed: self.shared.pack(self.columns, packer)?, extent: self.extent })
    }
}
