//! What this thread knows of spans that it has met lately, so that to enter one needs no lock: a span's context and
//! its callsite never change, and no other span ever has its key.

use onefold_core::TraceContext;
use std::cell::Cell;
use tracing::Metadata;

/// Spans that are remembered: those of a few requests under way.
const SPANS: usize = 32;

/// What never changes of a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its key.
    pub(super) span: u64,
    pub(super) context: TraceContext,
    pub(super) metadata: &'static Metadata<'static>,
}

thread_local! {
    static KNOWN: [Cell<Option<Known>>; SPANS] = const { [const { Cell::new(None) }; SPANS] };
}

impl Known {
    /// Notes it, in the place of another.
    pub(super) fn note(self) {
        KNOWN.with(|known| known[place(self.span)].set(Some(self)));
    }

    /// What is known of a span.
    pub(super) fn of(span: u64) -> Option<Self> {
        KNOWN.with(|known| known[place(span)].get()).filter(|known| known.span == span)
    }
}

/// Spans of one part differ in their lowest byte, parts in the next.
fn place(span: u64) -> usize {
    let [index, slot, ..] = span.to_le_bytes();
    usize::from(index ^ slot.wrapping_mul(5)) % SPANS
}
