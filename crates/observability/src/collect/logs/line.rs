//! A log line as the store handles it: on its way in it borrows from the request, on its way out from the block.

use super::Level;
use crate::collect::spans::{span_of, trace_of};
use crate::collect::value::{ATTRIBUTES_MAX, Attributes, Measure, Value, any, read_attribute};
use crate::collect::wire::{Malformed, Reader};
use std::borrow::Cow;

/// One line; ids of 0 are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LineView<'a> {
    pub(super) time_ns: u64,
    pub(super) severity: u8,
    pub(super) body: Cow<'a, str>,
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> LineView<'a> {
    /// Reads the message `LogRecord`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let measure = Measure::of(bytes.len());
        let mut line = Self::default();
        let (mut observed_ns, mut severity_text, mut event) = (0, "", "");
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => line.time_ns = field.fixed64()?,
                2 => line.severity = u8::try_from(field.varint()?).unwrap_or_default(),
                3 => severity_text = field.text()?,
                5 => line.body = body(any(field.bytes()?, measure.of_body())?),
                6 => read_attribute(field.bytes()?, measure, ATTRIBUTES_MAX, &mut line.attributes)?,
                9 => line.trace = trace_of(field.bytes()?),
                10 => line.span = span_of(field.bytes()?),
                11 => observed_ns = field.fixed64()?,
                12 => event = field.text()?,
                _ => {}
            }
        }
        if line.time_ns == 0 {
            line.time_ns = observed_ns;
        }
        if line.severity == 0 {
            line.severity = severity_text.parse().map_or(0, Level::severity);
        }
        // An event may have a name and no body.
        if line.body.is_empty() {
            line.body = crate::collect::value::name(event);
        }
        Ok(line)
    }
}

fn body(value: Option<Value<'_>>) -> Cow<'_, str> {
    match value {
        None => Cow::Borrowed(""),
        Some(Value::Text(text) | Value::Json(text)) => text,
        Some(other) => Cow::Owned(other.to_json().to_string()),
    }
}
