//! Protobuf, written straight into a buffer: a span's structs, maps and texts would cost more than all the rest of
//! its recording. Read back by the structs of [`crate::otlp`] in the tests.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Wire(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Wire {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Fields that are encoded already.
    pub(super) fn raw(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    pub(super) fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub(super) fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value.cast_unsigned());
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(super) fn data(&mut self, field: u32, value: &[u8]) {
        self.head(field, value.len());
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.data(field, value.as_bytes());
    }

    /// The head of a message within whose length is known.
    pub(super) fn head(&mut self, field: u32, bytes: usize) {
        self.tag(field, LENGTH);
        self.varint(bytes as u64);
    }

    /// A message within: its length is written once it is known.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag(field, LENGTH);
        let start = self.0.len();
        // Most are short: one byte for the length, and the few others move up.
        self.0.push(0);
        write(self);
        let length = self.0.len() - start - 1;
        let width = varint_bytes(length as u64);
        if width > 1 {
            let end = self.0.len();
            self.0.resize(end + width - 1, 0);
            self.0.copy_within(start + 1..end, start + width);
        }
        let mut rest = length as u64;
        for byte in &mut self.0[start..start + width] {
            *byte = low_bits(rest) | 0x80;
            rest >>= 7;
        }
        self.0[start + width - 1] &= 0x7f;
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low_bits(value));
    }
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// What a field takes that is so long and has a number below 16.
pub(super) fn field_bytes(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

pub(super) fn varint_bytes(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::common::{AnyValue, KeyValue, any_value::Value};
    use proptest::prelude::*;
    use prost::Message as _;

    proptest! {
        /// Lengths of one to four bytes, as the library reads them.
        #[test]
        fn messages_within_messages_read_back(text in "[a-z]{0,40}", times in 0_usize..600, int in any::<i64>()) {
            let long = text.repeat(times);
            let mut wire = Wire::default();
            wire.text(1, &long);
            wire.message(2, |wire| wire.text(1, &long));
            let read = KeyValue::decode(wire.bytes()).unwrap();
            let value = AnyValue { value: Some(Value::StringValue(long.clone())) };
            prop_assert_eq!(read, KeyValue { key: long, value: Some(value) });

            let mut wire = Wire::default();
            wire.message(2, |wire| wire.int(3, int));
            let read = KeyValue::decode(wire.bytes()).unwrap();
            prop_assert_eq!(read.value.unwrap().value, Some(Value::IntValue(int)));
        }
    }
}
