//! The subscriber: keeps the spans of each piece of work together, and writes log lines.
//!
//! On a request's path it copies attributes into buffers that are used again, under a lock that a thread mostly has
//! to itself; nothing is encoded, allocated or sent there. A span's trace and parent are those of the enclosing
//! span, or of the context that the node's boundary has set; while it is entered it is itself the thread's context.

mod entered;
mod key;
mod lines;
mod part;
mod ring;
mod shard;
mod shards;

pub(super) use lines::Lines;
pub(super) use part::{Kept, Part};
pub(super) use shards::Shards;

use super::fields::{Collect, Fields};
use super::filter::{self, Filter};
use super::keeper::Keeper;
use super::line::Writer;
use super::meters::Meters;
use super::redaction::Redaction;
use key::Key;
use onefold_core::trace::Position;
use onefold_core::{Clock, TraceContext};
use part::Span;
use std::cell::Cell;
use std::sync::Arc;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;

/// Stands for a span for which there was no room.
const UNRECORDED: u64 = u64::MAX;
/// How far the enclosing spans of a line are followed.
const DEPTH_MAX: usize = 32;

thread_local! {
    static SCRATCH: Cell<Option<Box<Fields>>> = const { Cell::new(None) };
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

    /// Collects what is recorded, and works with it. What users' values print may itself log, so no lock is held
    /// while they do.
    fn collect<R>(&self, record: impl FnOnce(&mut Collect<'_>), work: impl FnOnce(&mut Fields) -> R) -> R {
        let mut fields = SCRATCH.take().unwrap_or_default();
        record(&mut Collect { fields: &mut fields, redacted: &self.redaction.found() });
        let answer = work(&mut fields);
        fields.clear();
        SCRATCH.set(Some(fields));
        answer
    }

    fn open(&self, attributes: &Attributes<'_>, fields: &Fields) -> u64 {
        let enclosing = if attributes.is_contextual() {
            Position::current().span
        } else {
            attributes.parent().map_or(0, Id::into_u64)
        };
        let started = self.shared.clock.now();
        let span = |(context, parent), outer| Span {
            metadata: attributes.metadata(),
            context,
            parent,
            started,
            ended: None,
            has_erred: false,
            outer,
            handles: 1,
            is_sent: false,
        };
        let mut opened = None;
        if enclosing != 0 {
            let key = Key::unpack(enclosing);
            let joined = self.shared.shards.with(key, |part| {
                opened = Some(part.spans[usize::from(key.index)].context.child().opened());
                let opened = opened.filter(|_| part.has_room())?;
                Some(Key { index: part.open(span(opened, enclosing), fields), ..key })
            });
            if let Some(key) = joined.flatten() {
                return key.pack().get();
            }
        }
        let is_entry = opened.is_none();
        let opened = opened.unwrap_or_else(|| boundary(attributes, fields));
        let (number, mut shard) = self.shared.shards.own();
        let Some((slot, generation)) = shard.begin(span(opened, enclosing), fields, is_entry) else {
            self.shared.meters.dropped_spans.inc();
            return UNRECORDED;
        };
        Key { shard: number, slot, generation, index: 0 }.pack().get()
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
        let kept = if is_judged { shared.keeper.judge(part, now) } else { None };
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
            event.parent().map_or(Position { span: 0, ..Position::current() }, |id| self.position(id))
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
                for (name, value) in part.attributes(key.index) {
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

    fn position(&self, id: &Id) -> Position {
        let key = Key::unpack(id.into_u64());
        let context = self.shared.shards.with(key, |part| part.spans[usize::from(key.index)].context);
        context.map_or(Position::NOWHERE, |context| Position { context: Some(context), span: id.into_u64() })
    }
}

/// The context of a span that no other encloses: that of the node's boundary, or a new trace's.
fn boundary(attributes: &Attributes<'_>, fields: &Fields) -> (TraceContext, u64) {
    let position = Position::current();
    if position.context.is_none() && fields.text_of("otel.kind") == Some("client") {
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
        let open = |fields: &mut Fields| self.open(attributes, fields);
        Id::from_u64(self.collect(|collect| attributes.record(collect), open))
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let key = Key::unpack(id.into_u64());
        self.collect(
            |collect| values.record(collect),
            |fields| self.shared.shards.with(key, |part| part.add(key.index, fields)),
        );
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        let key = Key::unpack(id.into_u64());
        if let Some(to) = self.position(follows).context {
            self.shared.shards.with(key, |part| part.link(key.index, to));
        }
    }

    fn event(&self, event: &Event<'_>) {
        self.collect(|collect| event.record(collect), |fields| self.log(event, fields));
    }

    fn enter(&self, id: &Id) {
        let mut position = self.position(id);
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
        let key = Key::unpack(span);
        let metadata = self.shared.shards.with(key, |part| part.spans[usize::from(key.index)].metadata);
        metadata.map_or_else(Current::none, |metadata| Current::new(Id::from_u64(span), metadata))
    }
}
