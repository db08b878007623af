//! The subscriber: keeps the spans of each piece of work together, and writes log lines.
//!
//! On a request's path it copies attributes into buffers that are used again, under a lock that a thread mostly has
//! to itself; nothing is encoded, allocated or sent there, and to enter and leave a span takes no lock. A span's trace and parent are those of the enclosing
//! span, or of the context that the node's boundary has set; while it is entered it is itself the thread's context.

mod block;
mod entered;
mod key;
mod known;
mod lines;
mod part;
mod ring;
mod shard;
mod shards;
mod view;

pub(super) use block::Block;
pub(super) use lines::Lines;
pub(super) use shards::Shards;
pub(super) use view::{Kept, View};

use super::fields::{Collect, Fields, Seen};
use super::filter::{self, Filter};
use super::keeper::Keeper;
use super::line::Writer;
use super::meters::Meters;
use super::packed::{self, Item, Items, Pack};
use super::redaction::Redaction;
use key::Key;
use known::Known;
use onefold_core::trace::Position;
use onefold_core::{Clock, TraceContext};
use std::cell::Cell;
use std::sync::Arc;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;
use view::Span;

/// Stands for a span for which there was no room.
const UNRECORDED: u64 = u64::MAX;
/// How far the enclosing spans of a line are followed.
const DEPTH_MAX: usize = 32;

thread_local! {
    static FIELDS: Cell<Option<Box<Fields>>> = const { Cell::new(None) };
    static PACKED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What the recorder and those who send what it has share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) shards: Shards,
    pub(super) keeper: Keeper,
    pub(super) meters: Arc<Meters>,
    pub(super) clock: Clock,
}

/// The subscriber.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    filter: Filter,
    redaction: Redaction,
    writer: Writer,
}

impl Shared {
    pub(super) fn new(config: &super::Config, meters: Meters, clock: Clock) -> Self {
        let meters = Arc::new(meters);
        let keeper = Keeper::new(config.slow, clock.now(), Arc::clone(&meters));
        Self { shards: Shards::new(config.ring_bytes_max), keeper, meters, clock }
    }
}

impl Recorder {
    pub(super) fn new(shared: Arc<Shared>, filter: Filter, redaction: Redaction, writer: Writer) -> Self {
        Self { shared, filter, redaction, writer }
    }

    /// Collects what an event records, and works with it. What users' values print may itself log, so no lock is
    /// held while they do.
    fn collect<R>(&self, record: impl FnOnce(&mut Collect<'_>), work: impl FnOnce(&mut Fields) -> R) -> R {
        let mut fields = FIELDS.take().unwrap_or_default();
        let redacted = self.redaction.found();
        let redacted = redacted.as_ref().map_or(&[][..], |found| found.as_slice());
        record(&mut Collect { fields: &mut fields, redacted });
        let answer = work(&mut fields);
        fields.clear();
        FIELDS.set(Some(fields));
        answer
    }

    /// The same for what a span records.
    fn pack<R>(&self, record: impl FnOnce(&mut Pack<'_>), work: impl FnOnce(&[u8]) -> R) -> R {
        let mut packed = PACKED.take();
        let redacted = self.redaction.found();
        let redacted = redacted.as_ref().map_or(&[][..], |found| found.as_slice());
        record(&mut Pack::new(&mut packed, redacted));
        let answer = work(&packed);
        packed.clear();
        PACKED.set(packed);
        answer
    }

    fn open(&self, attributes: &Attributes<'_>, packed: &[u8]) -> u64 {
        let enclosing = if attributes.is_contextual() {
            Position::current().span
        } else {
            attributes.parent().map_or(0, Id::into_u64)
        };
        let (metadata, started) = (attributes.metadata(), self.shared.clock.now());
        let span = |(context, parent): (TraceContext, u64)| Span {
            metadata,
            id: context.span(),
            parent,
            started,
            ended: None,
            outer: enclosing,
            handles: 1,
            has_erred: false,
            is_sent: false,
        };
        let known = |key: Key, context| {
            let span = key.pack().get();
            Known { span, context, metadata }.note();
            span
        };
        let mut opened = None;
        if enclosing != 0 {
            let key = Key::unpack(enclosing);
            let joined = self.shared.shards.with(key, |part| {
                opened = part.context_of(key.index).map(|context| context.child().opened());
                let opened = opened.filter(|_| part.has_room())?;
                Some((Key { index: part.open(span(opened), packed), ..key }, opened.0))
            });
            if let Some((key, context)) = joined.flatten() {
                return known(key, context);
            }
        }
        let is_entry = opened.is_none();
        let opened = opened.unwrap_or_else(|| boundary(attributes, packed));
        let (number, mut shard) = self.shared.shards.own();
        let Some((slot, generation)) = shard.begin(opened.0, span(opened), packed, is_entry) else {
            self.shared.meters.dropped_spans.inc();
            return UNRECORDED;
        };
        known(Key { shard: number, slot, generation, index: 0 }, opened.0)
    }

    /// Lets go of one handle of a span; the last one ends it, and with it perhaps the whole part.
    fn close(&self, key: Key) -> bool {
        let shared = &self.shared;
        let Some(mut shard) = shared.shards.of(key) else { return false };
        let Some(part) = shard.part(key) else { return false };
        let Some(span) = part.spans.get_mut(usize::from(key.index)) else { return false };
        span.handles = span.handles.saturating_sub(1);
        if span.handles > 0 || span.ended.is_some() {
            return false;
        }
        let now = shared.clock.now();
        span.ended = Some(now);
        part.open -= 1;
        let is_judged = key.index == 0 && part.is_entry && part.kept.is_none() && !part.is_sampled();
        let judged = if is_judged { part.view() } else { None };
        let kept = judged.and_then(|view| shared.keeper.judge(view, now));
        let (trace, is_over) = (part.trace(), part.open == 0);
        if kept.is_some() {
            part.kept = kept;
        }
        let settled = if is_over { shard.end(key, &shared.keeper) } else { shard::Settled::default() };
        drop(shard);
        if let (Some(reason), Some(trace)) = (kept, trace) {
            shared.keeper.trigger(trace, reason, now);
        }
        if settled.dropped_spans > 0 {
            shared.meters.dropped_spans.inc_by(settled.dropped_spans as u64);
        }
        if settled.is_full {
            shared.keeper.news.notify_one();
        }
        true
    }

    fn log(&self, event: &Event<'_>, fields: &mut Fields) {
        let position = if event.is_contextual() {
            Position::current()
        } else {
            event
                .parent()
                .map_or(Position { span: 0, ..Position::current() }, |id| self.position(id.into_u64()))
        };
        let body = fields.take_text("message").unwrap_or_default();
        let is_error = *event.metadata().level() == Level::ERROR;
        let span = self.add_enclosing(position.span, fields, is_error);
        let at = self.shared.clock.wall();
        self.writer.write(at, event.metadata(), position.context, span, body, fields);
        if !self.shared.keeper.is_exporting() || filter::is_carrier(event.metadata().target()) {
            return;
        }
        let (_, mut shard) = self.shared.shards.own();
        let body = body.of(&fields.text);
        if !shard.lines.push(at, event.metadata(), position.context, body, fields) {
            self.shared.meters.dropped_logs.inc();
        }
        let is_full = shard.lines.is_full();
        drop(shard);
        if is_full {
            self.shared.keeper.news.notify_one();
        }
    }

    /// Adds the attributes of the enclosing spans, the innermost first; answers the name of that one.
    fn add_enclosing(&self, span: u64, fields: &mut Fields, is_error: bool) -> Option<&'static str> {
        let (mut at, mut name) = (span, None);
        for depth in 0..DEPTH_MAX {
            if at == 0 {
                break;
            }
            let key = Key::unpack(at);
            let outer = self.shared.shards.with(key, |part| {
                for (name, value) in part.view().into_iter().flat_map(|view| view.attributes(key.index)) {
                    fields.add(name, value);
                }
                let span = &mut part.spans[usize::from(key.index)];
                if depth == 0 {
                    span.has_erred |= is_error;
                    name = Some(span.metadata.name());
                }
                span.outer
            });
            at = outer.unwrap_or(0);
        }
        name
    }

    fn position(&self, span: u64) -> Position {
        self.known(span).map_or(Position::NOWHERE, |known| Position { context: Some(known.context), span })
    }

    /// What does not change of an open span.
    fn known(&self, span: u64) -> Option<Known> {
        Known::of(span).or_else(|| {
            let key = Key::unpack(span);
            let known = self.shared.shards.with(key, |part| {
                let metadata = part.spans.get(usize::from(key.index))?.metadata;
                part.context_of(key.index).map(|context| Known { span, context, metadata })
            });
            let known = known.flatten()?;
            known.note();
            Some(known)
        })
    }
}

/// The context of a span that no other encloses: that of the node's boundary, or a new trace's.
fn boundary(attributes: &Attributes<'_>, packed: &[u8]) -> (TraceContext, u64) {
    let position = Position::current();
    if position.context.is_none() && is_call(attributes.metadata(), packed) {
        // A call that no request and no job makes is a poll of the platform's own. There are many a second; of
        // interest are those that fail or are slow, and these are kept anyway.
        return TraceContext::root(false).opened();
    }
    if attributes.is_root() && position.span != 0 {
        TraceContext::begin().opened()
    } else {
        Position::open_span()
    }
}

fn is_call(metadata: &'static Metadata<'static>, packed: &[u8]) -> bool {
    let client = Item::Attribute(Seen::Text("client"));
    Items(packed).any(|(number, item)| item == client && packed::name(metadata, number) == "otel.kind")
}

impl Subscriber for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if !self.filter.admits(metadata) {
            return Interest::never();
        }
        self.redaction.meet(metadata);
        Interest::always()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.admits(metadata)
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.filter.max())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let open = |packed: &[u8]| self.open(attributes, packed);
        Id::from_u64(self.pack(|pack| attributes.record(pack), open))
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let key = Key::unpack(id.into_u64());
        self.pack(
            |pack| values.record(pack),
            |packed| self.shared.shards.with(key, |part| part.add(key.index, packed)),
        );
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        let key = Key::unpack(id.into_u64());
        if let Some(to) = self.position(follows.into_u64()).context {
            self.shared.shards.with(key, |part| part.link(key.index, to));
        }
    }

    fn event(&self, event: &Event<'_>) {
        self.collect(|collect| event.record(collect), |fields| self.log(event, fields));
    }

    fn enter(&self, id: &Id) {
        let mut position = self.position(id.into_u64());
        position.span = id.into_u64();
        if position.context.is_none() {
            position.context = Position::current().context;
        }
        entered::enter(position);
    }

    fn exit(&self, id: &Id) {
        entered::exit(id.into_u64());
    }

    fn clone_span(&self, id: &Id) -> Id {
        let key = Key::unpack(id.into_u64());
        self.shared.shards.with(key, |part| part.spans[usize::from(key.index)].handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.close(Key::unpack(id.into_u64()))
    }

    fn current_span(&self) -> Current {
        let span = Position::current().span;
        if span == 0 {
            return Current::none();
        }
        let known = self.known(span);
        known.map_or_else(Current::none, |known| Current::new(Id::from_u64(span), known.metadata))
    }
}
