//! Attributes, as events bring them: names that live for ever, and values whose texts lie in one buffer.
//!
//! Nothing here is allocated anew once the buffers have grown to what requests need.

use super::redaction;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};

/// What is kept of one text, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// Attributes of one span or event.
pub(super) const FIELDS_MAX: usize = 64;

/// A value; its text is a place in the buffer that it came with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Place),
}

/// Where a text lies in its buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

/// A value with its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl Place {
    /// The text here.
    pub(super) fn of(self, buffer: &str) -> &str {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Appends a text to a buffer, cut at its bound.
    pub(super) fn append(buffer: &mut String, text: &str) -> Self {
        let start = buffer.len();
        buffer.push_str(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
        Self::since(buffer, start)
    }

    fn since(buffer: &str, start: usize) -> Self {
        // A buffer is far below 4 GiB: it holds at most `FIELDS_MAX` texts for each of some spans.
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: at(start), end: at(buffer.len()) }
    }
}

impl Value {
    pub(super) fn seen(self, buffer: &str) -> Seen<'_> {
        match self {
            Self::Bool(value) => Seen::Bool(value),
            Self::Int(value) => Seen::Int(value),
            Self::Float(value) => Seen::Float(value),
            Self::Text(place) => Seen::Text(place.of(buffer)),
        }
    }

    /// The same value with its text in another buffer.
    pub(super) fn moved(self, from: &str, to: &mut String) -> Self {
        match self {
            Self::Text(place) => Self::Text(Place::append(to, place.of(from))),
            other => other,
        }
    }
}

/// The attributes of one span or event.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) list: Vec<(&'static str, Value)>,
    pub(super) text: String,
}

impl Fields {
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.text.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Seen<'_>)> {
        self.list.iter().map(|(name, value)| (*name, value.seen(&self.text)))
    }

    /// Adds what is not there under this name yet.
    pub(super) fn add(&mut self, name: &'static str, value: Seen<'_>) {
        if self.list.len() >= FIELDS_MAX || self.list.iter().any(|(known, _)| *known == name) {
            return;
        }
        let value = match value {
            Seen::Bool(value) => Value::Bool(value),
            Seen::Int(value) => Value::Int(value),
            Seen::Float(value) => Value::Float(value),
            Seen::Text(text) => Value::Text(Place::append(&mut self.text, text)),
        };
        self.list.push((name, value));
    }

    /// Takes the text of this name out of the list.
    pub(super) fn take_text(&mut self, name: &str) -> Option<Place> {
        let at = self.list.iter().position(|(known, _)| *known == name)?;
        match self.list[at].1 {
            Value::Text(place) => {
                self.list.remove(at);
                Some(place)
            }
            _ => None,
        }
    }
}

/// Collects what an event records, without what must not be recorded.
pub(super) struct Collect<'a> {
    pub(super) fields: &'a mut Fields,
    /// Names as the callsites spell them, so that their addresses tell.
    pub(super) redacted: &'a [&'static str],
}

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        if self.fields.list.len() < FIELDS_MAX && !self.is_redacted(field.name()) {
            self.fields.list.push((field.name(), value));
        }
    }

    fn is_redacted(&self, name: &'static str) -> bool {
        redaction::holds(self.redacted, name)
    }

    fn bounded(&mut self) -> Bounded<impl FnMut(&str)> {
        Bounded::new(|text| self.fields.text.push_str(text))
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(field, Value::Int(value)),
            // OTLP has no wider integer.
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let place = Place::append(&mut self.fields.text, value);
        self.put(field, Value::Text(place));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let start = self.fields.text.len();
        write_error(&mut self.bounded(), value);
        let place = Place::since(&self.fields.text, start);
        self.put(field, Value::Text(place));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_redacted(field.name()) {
            return;
        }
        let start = self.fields.text.len();
        // It fails where the text is longer than what is kept.
        let _ = write!(self.bounded(), "{value:?}");
        let place = Place::since(&self.fields.text, start);
        self.put(field, Value::Text(place));
    }
}

/// Writes an error with its causes, as far as there is room.
pub(super) fn write_error(out: &mut impl fmt::Write, error: &(dyn std::error::Error + 'static)) {
    let mut written = write!(out, "{error}");
    let mut source = error.source();
    while let (Ok(()), Some(cause)) = (written, source) {
        written = write!(out, ": {cause}");
        source = cause.source();
    }
}

/// Ends what is written at the bound of a text.
pub(super) struct Bounded<F> {
    append: F,
    remaining: usize,
}

impl<F: FnMut(&str)> Bounded<F> {
    pub(super) fn new(append: F) -> Self {
        Self { append, remaining: TEXT_BYTES_MAX }
    }
}

impl<F: FnMut(&str)> fmt::Write for Bounded<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = &text[..text.floor_char_boundary(self.remaining)];
        (self.append)(kept);
        self.remaining -= kept.len();
        if kept.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_end_is_cut_and_no_further_asked() {
        struct Endless;
        impl fmt::Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("für immer ")?;
                }
            }
        }
        let mut text = String::new();
        let _ = write!(Bounded::new(|part| text.push_str(part)), "{Endless:?}");
        assert!((TEXT_BYTES_MAX - 1..=TEXT_BYTES_MAX).contains(&text.len()), "{}", text.len());
        let place = Place::append(&mut text, &"ü".repeat(TEXT_BYTES_MAX));
        assert_eq!(place.of(&text).len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn what_is_there_already_is_not_added() {
        let mut fields = Fields::default();
        fields.add("a", Seen::Text("inner"));
        fields.add("a", Seen::Text("outer"));
        fields.add("b", Seen::Int(2));
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("a", Seen::Text("inner")), ("b", Seen::Int(2))]);
        assert_eq!(fields.take_text("a").map(|place| place.of(&fields.text)), Some("inner"));
        assert_eq!(fields.iter().count(), 1);
    }
}
