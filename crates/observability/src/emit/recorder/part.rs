//! A node's part of a trace: the spans that one piece of work opened here, from its first span to the last that
//! closes. Few are open at a time, and their buffers are used again at once, so that they stay in the processor's
//! caches; what has ended is copied on.

use super::view::{Kept, Span, View};
use crate::emit::packed;
use onefold_core::{TraceContext, TraceId};

/// Spans of one part; what opens beyond begins another part of the same trace.
pub(super) const SPANS_MAX: usize = 128;
/// Attributes of one part, in bytes; what comes beyond is left out.
const RECORDS_BYTES_MAX: usize = 64 << 10;
/// What a part may hold on to between two pieces of work, in bytes.
const SPARE_BYTES_MAX: usize = 16 << 10;
/// What one span records at once, in bytes: its length must fit its head.
const RECORD_BYTES_MAX: usize = (1 << 24) - 1;

/// The spans of one piece of work.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// That of its first span; `None` only before that.
    context: Option<TraceContext>,
    pub(super) spans: Vec<Span>,
    /// What the spans have recorded, in order: a head with the span's index and the length, and then its attributes.
    records: Vec<u8>,
    pub(super) open: u8,
    pub(super) kept: Option<Kept>,
    /// Whether its first span came over the node's boundary or is a trace's root.
    pub(super) is_entry: bool,
    /// Whether some spans were sent before the part's end.
    pub(super) is_split: bool,
}

impl Part {
    pub(super) fn begin(&mut self, context: TraceContext, is_entry: bool) {
        (self.context, self.is_entry) = (Some(context), is_entry);
    }

    pub(super) fn has_room(&self) -> bool {
        self.spans.len() < SPANS_MAX
    }

    /// Opens a span; answers its index.
    pub(super) fn open(&mut self, span: Span, packed: &[u8]) -> u8 {
        // Below `SPANS_MAX`.
        let index = u8::try_from(self.spans.len()).unwrap_or(u8::MAX);
        self.spans.push(span);
        self.open += 1;
        self.add(index, packed);
        index
    }

    /// Adds attributes to a span.
    pub(super) fn add(&mut self, index: u8, packed: &[u8]) {
        if !packed.is_empty() && packed.len() <= RECORD_BYTES_MAX && self.records.len() <= RECORDS_BYTES_MAX {
            let length = u32::try_from(packed.len()).unwrap_or(0);
            self.records.extend_from_slice(&(length << 8 | u32::from(index)).to_le_bytes());
            self.records.extend_from_slice(packed);
        }
    }

    pub(super) fn link(&mut self, index: u8, to: TraceContext) {
        let mut packed = Vec::new();
        packed::link(&mut packed, to);
        self.add(index, &packed);
    }

    /// The trace of all its spans.
    pub(super) fn trace(&self) -> Option<TraceId> {
        self.context.map(TraceContext::trace)
    }

    /// That of a span.
    pub(super) fn context_of(&self, index: u8) -> Option<TraceContext> {
        let span = self.spans.get(usize::from(index))?;
        self.context.map(|context| context.at(span.id))
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.context.is_some_and(TraceContext::is_sampled)
    }

    /// `None` before its first span.
    pub(super) fn view(&self) -> Option<View<'_>> {
        let (kept, spans, records) = (self.kept, self.spans.as_slice(), self.records.as_slice());
        self.context.map(|context| View { context, kept, spans, records })
    }

    /// Those that have ended and were not sent yet, in a part of their own.
    pub(super) fn split_ended(&mut self) -> Option<Self> {
        let mut split =
            Self { context: self.context, kept: self.kept, is_entry: self.is_entry, ..Self::default() };
        let mut moved = [None; SPANS_MAX];
        for (index, span) in self.spans.iter_mut().enumerate() {
            if span.ended.is_some() && !std::mem::replace(&mut span.is_sent, true) {
                moved[index] = u8::try_from(split.spans.len()).ok();
                split.spans.push(*span);
            }
        }
        for (index, packed) in super::view::records(&self.records) {
            if let Some(into) = moved.get(usize::from(index)).copied().flatten() {
                split.add(into, packed);
            }
        }
        let is_some = !split.spans.is_empty();
        self.is_split |= is_some;
        is_some.then_some(split)
    }

    /// Makes it ready for other work; false where it has grown too large to be kept for that.
    pub(super) fn clear(&mut self) -> bool {
        self.spans.clear();
        self.records.clear();
        (self.context, self.open, self.kept) = (None, 0, None);
        (self.is_entry, self.is_split) = (false, false);
        self.spans.capacity() * size_of::<Span>() + self.records.capacity() <= SPARE_BYTES_MAX
    }
}
