//! Spans to be read, wherever they lie: in an open part, in the ring, or among what is ready to be sent.

use crate::emit::fields::Seen;
use crate::emit::packed::{self, Item, Items};
use onefold_core::{TraceContext, TraceId};
use std::time::{Duration, Instant};
use tracing::Metadata;

/// Why a trace is kept although nobody sampled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit) enum Kept {
    Error,
    Slow,
    /// Another node asked for it.
    Asked,
}

/// One span.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit) struct Span {
    pub(in crate::emit) metadata: &'static Metadata<'static>,
    /// Never zero.
    pub(in crate::emit) id: u64,
    /// Zero for a root.
    pub(in crate::emit) parent: u64,
    pub(in crate::emit) started: Instant,
    pub(in crate::emit) ended: Option<Instant>,
    /// The enclosing span's key, zero for none.
    pub(super) outer: u64,
    pub(super) handles: u32,
    /// Whether something was logged as an error within it.
    pub(in crate::emit) has_erred: bool,
    /// Sent before the part's end, since others of it took too long.
    pub(super) is_sent: bool,
}

/// The spans of one part.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit) struct View<'a> {
    /// That of its first span: the trace of all.
    pub(in crate::emit) context: TraceContext,
    pub(in crate::emit) kept: Option<Kept>,
    pub(in crate::emit) spans: &'a [Span],
    pub(super) records: &'a [u8],
}

impl<'a> View<'a> {
    pub(in crate::emit) fn trace(self) -> TraceId {
        self.context.trace()
    }

    /// The attributes of a span, by their numbers; of two of one number both, the later last.
    pub(in crate::emit) fn numbered(self, index: u8) -> impl Iterator<Item = (u8, Seen<'a>)> {
        self.items(index).filter_map(|(number, item)| match item {
            Item::Attribute(value) => Some((number, value)),
            Item::Link(_) => None,
        })
    }

    /// The attributes of a span; of two of one name both, the later last.
    pub(in crate::emit) fn attributes(self, index: u8) -> impl Iterator<Item = (&'static str, Seen<'a>)> {
        let metadata = self.spans.get(usize::from(index)).map(|span| span.metadata);
        let named = move |(number, value)| (metadata.map_or("", |known| packed::name(known, number)), value);
        self.numbered(index).map(named)
    }

    /// The spans that a span is linked to.
    pub(in crate::emit) fn links(self, index: u8) -> impl Iterator<Item = TraceContext> {
        self.items(index).filter_map(|(_, item)| match item {
            Item::Link(to) => Some(to),
            Item::Attribute(_) => None,
        })
    }

    fn items(self, index: u8) -> impl Iterator<Item = (u8, Item<'a>)> {
        records(self.records).filter(move |(span, _)| *span == index).flat_map(|(_, packed)| Items(packed))
    }
}

/// What spans have recorded: the index of each, and its attributes.
pub(super) fn records(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*head) >> 8;
        let (packed, behind) = behind.split_at_checked(length as usize)?;
        rest = behind;
        Some((head[0], packed))
    })
}

impl Span {
    pub(in crate::emit) fn duration(&self) -> Duration {
        self.ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(self.started))
    }
}
