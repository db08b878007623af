//! Attributes as they came: read in place, bounded, and shown as JSON.

use super::wire::{Field, Malformed, Reader};
use base64::Engine as _;
use std::borrow::Cow;

/// A value's text, in bytes; what is longer is cut, and ends with [`CUT`].
pub(crate) const TEXT_BYTES_MAX: usize = 4096;
/// The same in an item that is large as a whole.
const TEXT_BYTES_OF_LARGE: usize = 256;
/// From here on an item counts as large, in bytes on the wire.
const LARGE_BYTES: usize = 256 << 10;
/// A name's or key's text, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Attributes of a span, a log record or a resource.
pub(crate) const ATTRIBUTES_MAX: usize = 128;
/// Lists in lists.
const DEPTH_MAX: u32 = 16;
/// Stands where something was cut.
const CUT: &str = "…";

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// A list or a map, as JSON.
    Json(Cow<'a, str>),
}

/// Names and values in their order.
pub(crate) type Attributes<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// How much of a text is kept: less of each, if the whole item is large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    text_bytes_max: usize,
}

impl Measure {
    /// For an item that takes `bytes` on the wire.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { text_bytes_max: if bytes > LARGE_BYTES { TEXT_BYTES_OF_LARGE } else { TEXT_BYTES_MAX } }
    }

    /// The same for the body of a log line, which may be a whole report.
    pub(crate) fn of_body(self) -> Self {
        Self { text_bytes_max: self.text_bytes_max * 4 }
    }

    /// The text, or its beginning with a mark.
    pub(crate) fn text(self, text: &str) -> Cow<'_, str> {
        cut(text, self.text_bytes_max)
    }
}

/// A name, or its beginning with a mark.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    cut(text, NAME_BYTES_MAX)
}

fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(bytes_max);
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

/// Reads a `KeyValue` into `into`; beyond `count_max` it is only checked.
pub(crate) fn read_attribute<'a>(
    bytes: &'a [u8],
    measure: Measure,
    count_max: usize,
    into: &mut Attributes<'a>,
) -> Result<(), Malformed> {
    let (key, value) = key_value(bytes)?;
    let value = value.map(|value| any(value, measure)).transpose()?.flatten();
    if let Some(value) = value
        && into.len() < count_max
    {
        into.push((name(key), value));
    }
    Ok(())
}

fn key_value(bytes: &[u8]) -> Result<(&str, Option<&[u8]>), Malformed> {
    let (mut key, mut value) = ("", None);
    let mut fields = Reader(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = field.text()?,
            2 => value = Some(field.bytes()?),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Reads an `AnyValue`; none if it is empty.
pub(crate) fn any(bytes: &[u8], measure: Measure) -> Result<Option<Value<'_>>, Malformed> {
    let mut value = None;
    let mut fields = Reader(bytes);
    while let Some((number, field)) = fields.next()? {
        value = match number {
            1 => Some(Value::Text(measure.text(field.text()?))),
            2 => Some(Value::Bool(field.varint()? != 0)),
            3 => Some(Value::Int(field.varint()?.cast_signed())),
            4 => Some(Value::Double(f64::from_bits(field.fixed64()?))),
            5 | 6 => Some(nested(number, field, measure)?),
            7 => Some(Value::Text(Cow::Owned(measure.text(&base64(field.bytes()?)).into_owned()))),
            _ => value,
        };
    }
    Ok(value)
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn nested(number: u64, field: Field<'_>, measure: Measure) -> Result<Value<'static>, Malformed> {
    let text = list(number, field.bytes()?, DEPTH_MAX)?.to_string();
    // Half a document is none: a long one becomes text.
    Ok(if text.len() <= measure.text_bytes_max {
        Value::Json(Cow::Owned(text))
    } else {
        Value::Text(Cow::Owned(measure.text(&text).into_owned()))
    })
}

/// An `ArrayValue` (5) or a `KeyValueList` (6).
fn list(number: u64, bytes: &[u8], depth: u32) -> Result<serde_json::Value, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed("a value is nested too deeply"))?;
    let mut values = Vec::new();
    let mut map = serde_json::Map::new();
    let mut fields = Reader(bytes);
    while let Some((field_number, field)) = fields.next()? {
        if field_number != 1 {
            continue;
        }
        if number == 5 {
            values.push(json_of(field.bytes()?, depth)?);
        } else {
            let (key, value) = key_value(field.bytes()?)?;
            map.insert(key.to_owned(), json_of(value.unwrap_or_default(), depth)?);
        }
    }
    Ok(if number == 5 { values.into() } else { map.into() })
}

fn json_of(bytes: &[u8], depth: u32) -> Result<serde_json::Value, Malformed> {
    let mut value = serde_json::Value::Null;
    let mut fields = Reader(bytes);
    while let Some((number, field)) = fields.next()? {
        value = match number {
            1 => field.text()?.into(),
            2 => (field.varint()? != 0).into(),
            3 => field.varint()?.cast_signed().into(),
            4 => f64::from_bits(field.fixed64()?).into(),
            5 | 6 => list(number, field.bytes()?, depth)?,
            7 => base64(field.bytes()?).into(),
            _ => value,
        };
    }
    Ok(value)
}

impl Value<'_> {
    /// As the API shows it. A double that JSON has no number for is a text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => serde_json::Value::String(text.as_ref().to_owned()),
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Double(value) if value.is_finite() => (*value).into(),
            Self::Double(value) => value.to_string().into(),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_ref().into()),
        }
    }

    /// Whether it is what somebody wrote into a search field.
    pub(crate) fn reads_as(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) | Self::Json(text) => text == wanted,
            Self::Bool(value) => wanted == if *value { "true" } else { "false" },
            Self::Int(value) => wanted.parse() == Ok(*value),
            Self::Double(value) => {
                wanted.parse::<f64>().is_ok_and(|wanted| wanted.to_bits() == value.to_bits())
            }
        }
    }

    /// Its text, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Attributes as a JSON object; of a name that comes twice, the last counts.
pub(crate) fn to_object(attributes: &Attributes<'_>) -> serde_json::Map<String, serde_json::Value> {
    attributes.iter().map(|(key, value)| (key.as_ref().to_owned(), value.to_json())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::common::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
    use prost::Message as _;

    fn wire(value: any_value::Value) -> Vec<u8> {
        AnyValue { value: Some(value) }.encode_to_vec()
    }

    fn deep(levels: usize) -> any_value::Value {
        let inner = any_value::Value::IntValue(1);
        (0..levels).fold(inner, |value, _| {
            any_value::Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] })
        })
    }

    #[test]
    fn long_texts_are_cut_at_a_character_and_marked() {
        let bytes = wire(any_value::Value::StringValue("ä".repeat(4000)));
        let Ok(Some(Value::Text(text))) = any(&bytes, Measure::of(bytes.len())) else { panic!("no text") };
        assert_eq!(text.len(), TEXT_BYTES_MAX + CUT.len());
        assert!(text.ends_with("ä…"));
        let Ok(Some(Value::Text(text))) = any(&bytes, Measure::of(1 << 20)) else { panic!("no text") };
        assert_eq!(text.len(), TEXT_BYTES_OF_LARGE + CUT.len());
    }

    #[test]
    fn lists_and_maps_are_shown_as_json() {
        let pair = KeyValue { key: "a".to_owned(), value: Some(AnyValue { value: Some(deep(1)) }) };
        let bytes = wire(any_value::Value::KvlistValue(KeyValueList { values: vec![pair] }));
        let value = any(&bytes, Measure::of(0)).unwrap().unwrap();
        assert_eq!(value, Value::Json(r#"{"a":[1]}"#.into()));
        assert_eq!(value.to_json(), serde_json::json!({"a": [1]}));
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        assert!(any(&wire(deep(16)), Measure::of(0)).is_ok());
        assert!(any(&wire(deep(17)), Measure::of(0)).is_err());
    }
}
