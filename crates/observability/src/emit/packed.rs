//! A span's attributes in one run of bytes. A name is a number, its place in the callsite's field set, and a value
//! stands behind it, so that an attribute takes a few bytes more than its text and moves on by copying bytes.
//! Written on a request's path; read where a span is judged or sent.

use super::fields::{Bounded, FIELDS_MAX, Seen, TEXT_BYTES_MAX, write_error};
use super::redaction;
use onefold_core::TraceContext;
use std::fmt;
use tracing::Metadata;
use tracing::field::{Field, Visit};

const BOOL: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const TEXT: u8 = 3;
/// A span that this one is linked to, as a `traceparent`.
const LINK: u8 = 4;

/// Writes what a span records, without what must not be recorded.
pub(super) struct Pack<'a> {
    bytes: &'a mut Vec<u8>,
    /// Names as the callsites spell them.
    redacted: &'a [&'static str],
}

impl<'a> Pack<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>, redacted: &'a [&'static str]) -> Self {
        Self { bytes, redacted }
    }

    /// Begins an attribute, if it is to be kept.
    fn begin(&mut self, field: &Field, kind: u8) -> bool {
        let is_kept = field.index() < FIELDS_MAX && !redaction::holds(self.redacted, field.name());
        if is_kept {
            // Below `FIELDS_MAX`.
            self.bytes.extend_from_slice(&[u8::try_from(field.index()).unwrap_or(u8::MAX), kind]);
        }
        is_kept
    }

    /// Writes a text of unknown length: the length stands before it once it is known.
    fn print(&mut self, field: &Field, print: impl FnOnce(&mut dyn fmt::Write)) {
        if !self.begin(field, TEXT) {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        print(&mut Bounded::new(|text: &str| self.bytes.extend_from_slice(text.as_bytes())));
        let length = length(self.bytes.len() - start - 2);
        self.bytes[start..start + 2].copy_from_slice(&length);
    }
}

/// The length of a text, at most `TEXT_BYTES_MAX`.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(0).to_le_bytes()
}

impl Visit for Pack<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.begin(field, FLOAT) {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.begin(field, INT) {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            // OTLP has no wider integer.
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.begin(field, BOOL) {
            self.bytes.push(u8::from(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.begin(field, TEXT) {
            let kept = &value[..value.floor_char_boundary(TEXT_BYTES_MAX)];
            self.bytes.extend_from_slice(&length(kept.len()));
            self.bytes.extend_from_slice(kept.as_bytes());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.print(field, |mut out| write_error(&mut out, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // It fails where the text is longer than what is kept.
        self.print(field, |out| {
            let _ = write!(out, "{value:?}");
        });
    }
}

/// Writes a link.
pub(super) fn link(bytes: &mut Vec<u8>, to: TraceContext) {
    bytes.extend_from_slice(&[0, LINK]);
    bytes.extend_from_slice(&to.encode());
}

/// What stands under a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Attribute(Seen<'a>),
    Link(TraceContext),
}

/// Reads attributes, by their numbers and in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Items<'a>(pub(super) &'a [u8]);

impl<'a> Items<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self, bytes: usize) -> Option<&'a str> {
        let (text, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (u8, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let [index, kind] = self.take()?;
        let item = match kind {
            BOOL => Item::Attribute(Seen::Bool(self.take()? != [0])),
            INT => Item::Attribute(Seen::Int(i64::from_le_bytes(self.take()?))),
            FLOAT => Item::Attribute(Seen::Float(f64::from_le_bytes(self.take()?))),
            TEXT => {
                let bytes = u16::from_le_bytes(self.take()?);
                Item::Attribute(Seen::Text(self.text(usize::from(bytes))?))
            }
            _ => Item::Link(self.text(onefold_core::trace::TRACEPARENT_BYTES)?.parse().ok()?),
        };
        Some((index, item))
    }
}

/// What a callsite calls the attribute of this number.
pub(super) fn name(metadata: &'static Metadata<'static>, index: u8) -> &'static str {
    metadata.fields().iter().nth(usize::from(index)).map_or("", |field| field.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tracing::field::Value;

    fn pack(values: [&dyn Value; 5], redacted: &[&'static str]) -> (&'static Metadata<'static>, Vec<u8>) {
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
        let span = tracing::info_span!("test", a = 1, b = 1, c = 1, d = 1, e = 1);
        let metadata = span.metadata().unwrap();
        let fields: Vec<Field> = metadata.fields().iter().collect();
        let mut bytes = Vec::new();
        let mut pack = Pack::new(&mut bytes, redacted);
        fields.iter().zip(values).for_each(|(field, value)| value.record(field, &mut pack));
        (metadata, bytes)
    }

    proptest! {
        #[test]
        fn values_read_back(int in any::<i64>(), wide in any::<u64>(), text in "\\PC{0,40}", flag in any::<bool>()) {
            let to = TraceContext::root(flag);
            let (metadata, mut bytes) = pack([&int, &wide, &text.as_str(), &flag, &1.5], &[]);
            link(&mut bytes, to);
            let printed = wide.to_string();
            let wide = i64::try_from(wide).map_or(Seen::Text(&printed), Seen::Int);
            let expected = [Seen::Int(int), wide, Seen::Text(&text), Seen::Bool(flag), Seen::Float(1.5)];
            let mut expected: Vec<_> =
                (0..5).zip(expected).map(|(at, value)| (at, Item::Attribute(value))).collect();
            expected.push((0, Item::Link(to)));
            prop_assert_eq!(Items(&bytes).collect::<Vec<_>>(), expected);
            prop_assert_eq!([0, 1, 4, 5].map(|index| name(metadata, index)), ["a", "b", "e", ""]);
            // Whatever is cut off ends the reading.
            for end in 0..bytes.len() {
                prop_assert!(Items(&bytes[..end]).count() < 6);
            }
        }
    }

    #[test]
    fn long_texts_are_cut_and_dropped_names_leave_nothing() {
        let long = "ü".repeat(TEXT_BYTES_MAX);
        let (metadata, bytes) = pack([&long.as_str(), &tracing::field::debug(&long), &1, &2, &3], &[]);
        let texts: Vec<usize> = Items(&bytes)
            .filter_map(|(_, item)| match item {
                Item::Attribute(Seen::Text(text)) => Some(text.len()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [TEXT_BYTES_MAX, TEXT_BYTES_MAX - 1], "an opening quote, and whole letters");
        let (_, bytes) = pack([&1, &2, &3, &4, &5], &[name(metadata, 0), name(metadata, 3)]);
        assert_eq!(Items(&bytes).map(|(index, _)| index).collect::<Vec<_>>(), [1, 2, 4]);
    }
}
