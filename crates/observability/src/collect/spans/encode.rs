//! Builds a block: spans to columns.

use super::span::{EventView, LinkView, SpanView};
use super::stored::{self, COLUMNS};
use crate::collect::Error;
use crate::collect::block::{Columns, Fast, Origin, Packed, Packer, Vocabulary, item};
use crate::collect::intake::Waiting;
use crate::collect::value::Attributes;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A block as it is stored.
pub(super) struct Encoded {
    pub(super) packed: Packed,
    pub(super) start_min_ns: u64,
    pub(super) start_max_ns: u64,
}

/// What the rows beside the blocks need of a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) trace: u128,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) failed: bool,
    pub(super) fresh: bool,
}

/// Everything that one block says.
pub(super) struct Built {
    pub(super) encoded: Encoded,
    pub(super) facts: Vec<Facts>,
    /// Traces that its spans link to.
    pub(super) links: Vec<u128>,
    /// Service, node, operation.
    pub(super) operations: Vec<[String; 3]>,
}

/// Builds a block of spans that are in its order, by trace and start.
///
/// # Errors
/// [`Error`], where zstd has no memory.
pub(super) fn build(waiting: &[Waiting<super::SpanKey>], packer: &mut Packer) -> Result<Built, Error> {
    let mut builder = Builder::default();
    for (at, one) in waiting.iter().enumerate() {
        // It has been read before; what does not read now was never let in.
        let Ok(span) = SpanView::read(&one.wire) else { continue };
        let origin = builder.shared.origin(&one.source.resource);
        builder.head(at, &span, origin, &one.source.scope);
        builder.body(&span);
        builder.facts.push(Facts {
            trace: span.trace,
            start_ns: span.start_ns,
            end_ns: span.end_ns(),
            failed: span.status == super::span::ERROR,
            fresh: one.fresh,
        });
    }
    builder.finish(packer)
}

#[derive(Default)]
struct Builder<'a> {
    shared: Vocabulary<'a>,
    columns: Columns<COLUMNS>,
    places: HashMap<u64, usize, Fast>,
    trace: u128,
    run: u64,
    last_start_ns: u64,
    start_min_ns: u64,
    start_max_ns: u64,
    facts: Vec<Facts>,
    links: Vec<u128>,
    operations: HashSet<[u32; 3], Fast>,
    operation_names: Vec<[String; 3]>,
}

impl<'a> Builder<'a> {
    fn head(&mut self, at: usize, span: &SpanView<'a>, origin: Origin, scope: &'a str) {
        if at == 0 || span.trace != self.trace {
            self.end_run();
            self.trace = span.trace;
            self.columns.bytes(stored::TRACES, &span.trace.to_be_bytes());
            self.places.clear();
        }
        self.run += 1;
        self.columns.bytes(stored::IDS, &span.id.to_be_bytes());
        self.parent(at, span);
        self.times(at, span);
        let name = self.shared.number(&span.name);
        self.shared.add(item::operation(self.shared.hash(name)));
        let scope = self.shared.number(&Cow::Borrowed(scope));
        self.columns.number(stored::NAMES, name.into());
        self.columns.number(stored::SOURCES, origin.number);
        self.columns.number(stored::SOURCES, scope.into());
        self.status(span);
        let operation = [origin.service, origin.node, name];
        if self.operations.insert(operation) {
            let names = operation.map(|number| self.shared.text(number).to_owned());
            self.operation_names.push(names);
        }
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            self.columns.number(stored::RUNS, self.run);
        }
        self.run = 0;
    }

    /// A parent in the same block is told by its place: one byte instead of eight.
    fn parent(&mut self, at: usize, span: &SpanView<'a>) {
        match (span.parent, self.places.get(&span.parent)) {
            (0, _) => self.columns.number(stored::PARENTS, stored::PARENT_NONE),
            (_, Some(place)) => {
                self.columns.number(stored::PARENTS, stored::PARENT_NEAR + (at - place) as u64);
            }
            (parent, None) => {
                self.columns.number(stored::PARENTS, stored::PARENT_ELSEWHERE);
                self.columns.bytes(stored::FOREIGN_PARENTS, &parent.to_be_bytes());
            }
        }
        self.places.insert(span.id, at);
    }

    fn times(&mut self, at: usize, span: &SpanView<'a>) {
        let delta = span.start_ns.wrapping_sub(self.last_start_ns).cast_signed();
        self.columns.signed(stored::STARTS, delta);
        self.columns.number(stored::DURATIONS, span.duration_ns);
        self.last_start_ns = span.start_ns;
        self.start_min_ns = if at == 0 { span.start_ns } else { self.start_min_ns.min(span.start_ns) };
        self.start_max_ns = self.start_max_ns.max(span.start_ns);
    }

    fn status(&mut self, span: &SpanView<'a>) {
        let kind = span.kind.min(7);
        let told = u8::from(!span.status_message.is_empty());
        self.columns.bytes(stored::KINDS, &[kind | span.status << 3 | told << 5]);
        if told == 1 {
            let message = self.shared.number(&span.status_message);
            self.columns.number(stored::MESSAGES, message.into());
        }
    }

    fn body(&mut self, span: &SpanView<'a>) {
        self.attributes(stored::ATTRIBUTES, &span.attributes);
        self.columns
            .number(stored::COUNTS, (span.events.len() as u64) << 1 | u64::from(!span.links.is_empty()));
        for event in &span.events {
            self.event(span.start_ns, event);
        }
        if !span.links.is_empty() {
            self.columns.number(stored::COUNTS, span.links.len() as u64);
        }
        for link in &span.links {
            self.link(link);
        }
    }

    fn event(&mut self, start_ns: u64, event: &EventView<'a>) {
        let delta = event.time_ns.wrapping_sub(start_ns).cast_signed();
        let name = self.shared.number(&event.name);
        self.columns.signed(stored::EVENTS, delta);
        self.columns.number(stored::EVENTS, name.into());
        self.attributes(stored::EVENTS, &event.attributes);
    }

    fn link(&mut self, link: &LinkView<'a>) {
        self.columns.bytes(stored::LINKS, &link.trace.to_be_bytes());
        self.columns.bytes(stored::LINKS, &link.span.to_be_bytes());
        self.attributes(stored::LINKS, &link.attributes);
        self.links.push(link.trace);
    }

    fn attributes(&mut self, column: usize, attributes: &Attributes<'a>) {
        self.shared.attributes(attributes, self.columns.column(column));
    }

    fn finish(mut self, packer: &mut Packer) -> Result<Built, Error> {
        self.end_run();
        let encoded = Encoded {
            packed: self.shared.pack(self.columns, packer)?,
            start_min_ns: self.start_min_ns,
            start_max_ns: self.start_max_ns,
        };
        Ok(Built { encoded, facts: self.facts, links: self.links, operations: self.operation_names })
    }
}
