//! Attribute values as texts.

use crate::collect::promql::format_value;
use crate::otlp::common::AnyValue;
use crate::otlp::common::any_value::Value;
use serde_json::{Value as Json, json};
use std::borrow::Cow;

/// An attribute's value as a label's; lists and maps as JSON.
pub(super) fn text(value: &AnyValue) -> Cow<'_, str> {
    match &value.value {
        None => Cow::Borrowed(""),
        Some(Value::StringValue(text)) => Cow::Borrowed(text),
        Some(Value::BoolValue(value)) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Some(Value::IntValue(value)) => Cow::Owned(value.to_string()),
        Some(Value::DoubleValue(value)) => Cow::Owned(format_value(*value)),
        Some(_) => Cow::Owned(as_json(value).to_string()),
    }
}

/// Its depth is bounded by the decoder of the message.
fn as_json(value: &AnyValue) -> Json {
    match &value.value {
        None => Json::Null,
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(value)) => json!(value),
        Some(Value::IntValue(value)) => json!(value),
        Some(Value::DoubleValue(value)) => json!(value),
        Some(Value::BytesValue(bytes)) => json!(hex(bytes)),
        Some(Value::ArrayValue(list)) => list.values.iter().map(as_json).collect(),
        Some(Value::KvlistValue(map)) => {
            let value = |value: &Option<AnyValue>| value.as_ref().map_or(Json::Null, as_json);
            Json::Object(map.values.iter().map(|pair| (pair.key.clone(), value(&pair.value))).collect())
        }
    }
}

/// Bytes as hexadecimal digits, as ids of traces are written.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
