//! Attributes on the wire: there are many of them, so that lengths are counted beforehand and nothing is moved.

use super::wire::{self, Wire};
use crate::emit::fields::Seen;

/// One attribute.
pub(super) fn write(wire: &mut Wire, field: u32, name: &str, value: Seen<'_>) {
    let value_bytes = any_bytes(value);
    wire.head(field, wire::field_bytes(name.len()) + wire::field_bytes(value_bytes));
    wire.text(1, name);
    wire.head(2, value_bytes);
    any(wire, value);
}

/// The fields of an `AnyValue`.
pub(super) fn any(wire: &mut Wire, value: Seen<'_>) {
    match value {
        Seen::Text(text) => wire.text(1, text),
        Seen::Bool(value) => wire.uint(2, u64::from(value)),
        Seen::Int(value) => wire.int(3, value),
        Seen::Float(value) => wire.double(4, value),
    }
}

fn any_bytes(value: Seen<'_>) -> usize {
    match value {
        Seen::Text(text) => wire::field_bytes(text.len()),
        Seen::Bool(_) => 2,
        Seen::Int(value) => 1 + wire::varint_bytes(value.cast_unsigned()),
        Seen::Float(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Wire, write};
    use crate::otlp::common::{AnyValue, KeyValue, any_value::Value};
    use proptest::prelude::*;
    use prost::Message as _;

    /// Written as a field of a message, an attribute reads back.
    fn read(name: &str, value: Seen<'_>) -> KeyValue {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Holder {
            #[prost(message, optional, tag = "9")]
            held: Option<KeyValue>,
        }
        let mut wire = Wire::default();
        write(&mut wire, 9, name, value);
        Holder::decode(wire.bytes()).unwrap().held.unwrap()
    }

    proptest! {
        #[test]
        fn attributes_read_back(name in "[a-z]{0,200}", text in "\\PC{0,200}", int in any::<i64>(), flag in any::<bool>()) {
            for (value, expected) in [
                (Seen::Text(&text), Value::StringValue(text.clone())),
                (Seen::Int(int), Value::IntValue(int)),
                (Seen::Bool(flag), Value::BoolValue(flag)),
                (Seen::Float(1.5), Value::DoubleValue(1.5)),
            ] {
                let expected = KeyValue { key: name.clone(), value: Some(AnyValue { value: Some(expected) }) };
                prop_assert_eq!(read(&name, value), expected);
            }
        }
    }
}
