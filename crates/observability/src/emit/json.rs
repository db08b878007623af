//! The layer that turns events into lines.

use super::Resource;
use super::line::{Attributes, Line};
use chrono::{DateTime, Utc};
use onefold_core::{Clock, TraceContext};
use std::io::Write;
use tracing::span::{Attributes as SpanAttributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes one JSON line for each event.
#[derive(Debug)]
pub(super) struct JsonLines<W> {
    service: String,
    node: String,
    role: &'static str,
    zone: String,
    clock: Clock,
    writer: fn() -> W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(resource: &Resource, clock: Clock, writer: fn() -> W) -> Self {
        Self {
            service: resource.service.clone(),
            node: resource.node.to_string(),
            role: resource.role.as_str(),
            zone: resource.zone.to_string(),
            clock,
            writer,
        }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + 'static,
{
    fn on_new_span(&self, attributes: &SpanAttributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Attributes::with_capacity(attributes.metadata().fields().len());
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Attributes>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut attributes = Attributes::default();
        let mut span_name = None;
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().into_iter().rev() {
            span_name = Some(span.name());
            if let Some(fields) = span.extensions().get::<Attributes>() {
                attributes.extend(fields);
            }
        }
        event.record(&mut attributes);
        let trace = TraceContext::current();
        let line = Line {
            timestamp: DateTime::<Utc>::from(self.clock.wall()),
            severity: event.metadata().level().as_str(),
            body: attributes.take_message(),
            trace_id: trace.map(TraceContext::trace_id),
            span_id: trace.map(TraceContext::span_id),
            service: &self.service,
            node: &self.node,
            role: self.role,
            zone: &self.zone,
            target: event.metadata().target(),
            span: span_name,
            attributes,
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        // There is nowhere left to tell that the log cannot be written.
        let _ = (self.writer)().write_all(&bytes);
    }
}
