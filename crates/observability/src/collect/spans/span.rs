//! A span as the store handles it: on its way in it borrows from the request, on its way out from the block.

use crate::collect::value::{ATTRIBUTES_MAX, Attributes, Measure, name, read_attribute};
use crate::collect::wire::{Malformed, Reader};
use std::borrow::Cow;

/// Events of a span, and links of a span.
const EVENTS_MAX: usize = 128;
/// Attributes of an event or a link.
const EVENT_ATTRIBUTES_MAX: usize = 32;

/// One span; a parent of 0 is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SpanView<'a> {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) name: Cow<'a, str>,
    pub(super) kind: u8,
    pub(super) start_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) status: u8,
    pub(super) status_message: Cow<'a, str>,
    pub(super) attributes: Attributes<'a>,
    pub(super) events: Vec<EventView<'a>>,
    pub(super) links: Vec<LinkView<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EventView<'a> {
    pub(super) time_ns: u64,
    pub(super) name: Cow<'a, str>,
    pub(super) attributes: Attributes<'a>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LinkView<'a> {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) attributes: Attributes<'a>,
}

/// `STATUS_CODE_ERROR`.
pub(super) const ERROR: u8 = 2;

impl<'a> SpanView<'a> {
    pub(super) fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    /// The value of an attribute that is a text.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_text())
    }

    /// Reads the message `Span`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let measure = Measure::of(bytes.len());
        let mut span = Self::default();
        let mut end_ns = 0;
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => span.trace = trace_of(field.bytes()?),
                2 => span.id = span_of(field.bytes()?),
                4 => span.parent = span_of(field.bytes()?),
                5 => span.name = name(field.text()?),
                6 => span.kind = u8::try_from(field.varint()?).unwrap_or_default(),
                7 => span.start_ns = field.fixed64()?,
                8 => end_ns = field.fixed64()?,
                9 => read_attribute(field.bytes()?, measure, ATTRIBUTES_MAX, &mut span.attributes)?,
                11 => span.read_event(field.bytes()?, measure)?,
                13 => span.read_link(field.bytes()?, measure)?,
                15 => span.read_status(field.bytes()?, measure)?,
                _ => {}
            }
        }
        span.duration_ns = end_ns.saturating_sub(span.start_ns);
        Ok(span)
    }

    fn read_event(&mut self, bytes: &'a [u8], measure: Measure) -> Result<(), Malformed> {
        let mut event = EventView::default();
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => event.time_ns = field.fixed64()?,
                2 => event.name = name(field.text()?),
                3 => read_attribute(field.bytes()?, measure, EVENT_ATTRIBUTES_MAX, &mut event.attributes)?,
                _ => {}
            }
        }
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
        Ok(())
    }

    fn read_link(&mut self, bytes: &'a [u8], measure: Measure) -> Result<(), Malformed> {
        let mut link = LinkView::default();
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => link.trace = trace_of(field.bytes()?),
                2 => link.span = span_of(field.bytes()?),
                4 => read_attribute(field.bytes()?, measure, EVENT_ATTRIBUTES_MAX, &mut link.attributes)?,
                _ => {}
            }
        }
        if self.links.len() < EVENTS_MAX && link.trace != 0 {
            self.links.push(link);
        }
        Ok(())
    }

    fn read_status(&mut self, bytes: &'a [u8], measure: Measure) -> Result<(), Malformed> {
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => self.status_message = measure.text(field.text()?),
                3 => {
                    let code = u8::try_from(field.varint()?);
                    self.status = code.ok().filter(|code| *code <= ERROR).unwrap_or(0);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A trace's id of 16 bytes; anything else is 0, which is no id.
pub(crate) fn trace_of(bytes: &[u8]) -> u128 {
    bytes.try_into().map_or(0, u128::from_be_bytes)
}

/// A span's id of 8 bytes; anything else is 0, which is no id.
pub(crate) fn span_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}
