//! Parts that have ended, one behind the other: to add one copies its bytes, and nothing is allocated once the
//! buffers have grown.

use super::view::{Kept, Span, View};
use onefold_core::{TraceContext, TraceId};

/// Ended parts in the order of their ends.
#[derive(Debug, Default)]
pub(in crate::emit) struct Block {
    entries: Vec<Entry>,
    spans: Vec<Span>,
    records: Vec<u8>,
}

/// One part, and where what it has ends.
#[derive(Clone, Copy, Debug)]
struct Entry {
    context: TraceContext,
    kept: Option<Kept>,
    is_taken: bool,
    spans_end: usize,
    records_end: usize,
}

impl Block {
    /// Adds a part.
    pub(super) fn push(&mut self, part: View<'_>) {
        self.spans.extend_from_slice(part.spans);
        self.records.extend_from_slice(part.records);
        self.entries.push(Entry {
            context: part.context,
            kept: part.kept,
            is_taken: false,
            spans_end: self.spans.len(),
            records_end: self.records.len(),
        });
    }

    /// What a part adds, in bytes.
    pub(super) fn cost(part: View<'_>) -> usize {
        size_of::<Entry>() + size_of_val(part.spans) + part.records.len()
    }

    /// What is in it, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.entries.as_slice()) + size_of_val(self.spans.as_slice()) + self.records.len()
    }

    /// What it takes of memory, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.spans.capacity() * size_of::<Span>()
            + self.records.capacity()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its parts.
    pub(in crate::emit) fn iter(&self) -> impl Iterator<Item = View<'_>> {
        let (mut spans_start, mut records_start) = (0, 0);
        self.entries.iter().map(move |entry| {
            let spans = self.spans.get(spans_start..entry.spans_end).unwrap_or_default();
            let records = self.records.get(records_start..entry.records_end).unwrap_or_default();
            (spans_start, records_start) = (entry.spans_end, entry.records_end);
            View { context: entry.context, kept: entry.kept, spans, records }
        })
    }

    /// Copies the parts of the traces that `reason` knows, each once.
    pub(super) fn take(&mut self, reason: impl Fn(TraceId) -> Option<Kept>, mut into: impl FnMut(View<'_>)) {
        let is_wanted = |entry: &Entry| !entry.is_taken && reason(entry.context.trace()).is_some();
        if !self.entries.iter().any(is_wanted) {
            return;
        }
        let wanted: Vec<Option<Kept>> = self
            .entries
            .iter()
            .map(|entry| reason(entry.context.trace()).filter(|_| !entry.is_taken))
            .collect();
        for (part, kept) in self.iter().zip(&wanted) {
            if kept.is_some() {
                into(View { kept: *kept, ..part });
            }
        }
        self.entries.iter_mut().zip(wanted).for_each(|(entry, kept)| entry.is_taken |= kept.is_some());
    }

    /// Empties it for other parts.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.spans.clear();
        self.records.clear();
    }
}
