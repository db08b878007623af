//! A node's part of a trace: the spans that one piece of work opened here, from its first span to the last that
//! closes. Its buffers are used again for other work.

use crate::emit::fields::{Fields, Seen, Value};
use onefold_core::{TraceContext, TraceId};
use std::time::{Duration, Instant};
use tracing::Metadata;

/// Spans of one part; what opens beyond begins another part of the same trace.
pub(super) const SPANS_MAX: usize = 128;
/// Texts of one part, in bytes; attributes beyond are left out.
const TEXTS_BYTES_MAX: usize = 64 << 10;
/// What a part may hold on to between two pieces of work, in bytes.
pub(super) const SPARE_BYTES_MAX: usize = 16 << 10;

/// Why a trace is kept although nobody sampled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit) enum Kept {
    Error,
    Slow,
    /// Another node asked for it.
    Asked,
}

/// One span.
#[derive(Debug)]
pub(in crate::emit) struct Span {
    pub(in crate::emit) metadata: &'static Metadata<'static>,
    pub(in crate::emit) context: TraceContext,
    /// Zero for a root.
    pub(in crate::emit) parent: u64,
    pub(in crate::emit) started: Instant,
    pub(in crate::emit) ended: Option<Instant>,
    /// Whether something was logged as an error within it.
    pub(in crate::emit) has_erred: bool,
    /// The enclosing span's key, zero for none.
    pub(super) outer: u64,
    pub(super) handles: u32,
    /// Sent before the part's end, since others of it took too long.
    pub(super) is_sent: bool,
}

/// The spans of one piece of work.
#[derive(Debug, Default)]
pub(in crate::emit) struct Part {
    pub(in crate::emit) spans: Vec<Span>,
    /// By the span's index; of two of one name the later counts.
    fields: Vec<(u8, &'static str, Value)>,
    text: String,
    links: Vec<(u8, TraceContext)>,
    pub(super) open: u8,
    pub(super) kept: Option<Kept>,
    /// Whether its first span came over the node's boundary or is a trace's root.
    pub(super) is_entry: bool,
}

impl Part {
    pub(super) fn has_room(&self) -> bool {
        self.spans.len() < SPANS_MAX
    }

    /// Opens a span; answers its index.
    pub(super) fn open(&mut self, span: Span, fields: &Fields) -> u8 {
        // Below `SPANS_MAX`.
        let index = u8::try_from(self.spans.len()).unwrap_or(u8::MAX);
        self.spans.push(span);
        self.open += 1;
        self.add(index, fields);
        index
    }

    /// Adds attributes to a span.
    pub(super) fn add(&mut self, index: u8, fields: &Fields) {
        for (name, value) in &fields.list {
            if self.text.len() > TEXTS_BYTES_MAX {
                return;
            }
            let value = value.moved(&fields.text, &mut self.text);
            self.fields.push((index, name, value));
        }
    }

    pub(super) fn link(&mut self, index: u8, to: TraceContext) {
        self.links.push((index, to));
    }

    /// The trace of all its spans.
    pub(in crate::emit) fn trace(&self) -> Option<TraceId> {
        self.spans.first().map(|span| span.context.trace())
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.spans.first().is_some_and(|span| span.context.is_sampled())
    }

    pub(in crate::emit) fn kept(&self) -> Option<Kept> {
        self.kept
    }

    /// The attributes of a span; of two of one name both, the later last.
    pub(in crate::emit) fn attributes(&self, index: u8) -> impl Iterator<Item = (&'static str, Seen<'_>)> {
        let own = self.fields.iter().filter(move |(span, _, _)| *span == index);
        own.map(|(_, name, value)| (*name, value.seen(&self.text)))
    }

    /// The spans that a span is linked to.
    pub(in crate::emit) fn links(&self, index: u8) -> impl Iterator<Item = TraceContext> {
        self.links.iter().filter(move |(span, _)| *span == index).map(|(_, to)| *to)
    }

    /// Those that have ended and were not sent yet, in a part of their own.
    pub(super) fn split_ended(&mut self) -> Option<Self> {
        let mut split = Self::default();
        for (index, span) in self.spans.iter_mut().enumerate() {
            if span.ended.is_none() || std::mem::replace(&mut span.is_sent, true) {
                continue;
            }
            let into = u8::try_from(split.spans.len()).unwrap_or(u8::MAX);
            split.spans.push(Span { is_sent: false, ..*span });
            let is_own = |owner: u8| usize::from(owner) == index;
            for (_, name, value) in self.fields.iter().filter(|(owner, _, _)| is_own(*owner)) {
                let value = value.moved(&self.text, &mut split.text);
                split.fields.push((into, name, value));
            }
            split
                .links
                .extend(self.links.iter().filter(|(owner, _)| is_own(*owner)).map(|(_, to)| (into, *to)));
        }
        split.kept = self.kept;
        (!split.spans.is_empty()).then_some(split)
    }

    /// What it holds on to, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.spans.capacity() * size_of::<Span>()
            + self.fields.capacity() * size_of::<(u8, &'static str, Value)>()
            + self.links.capacity() * size_of::<(u8, TraceContext)>()
            + self.text.capacity()
    }

    /// Makes it ready for other work.
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.fields.clear();
        self.links.clear();
        self.text.clear();
        (self.open, self.kept, self.is_entry) = (0, None, false);
    }
}

impl Span {
    pub(in crate::emit) fn duration(&self) -> Duration {
        self.ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(self.started))
    }
}
