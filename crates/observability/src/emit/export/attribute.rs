//! Attributes on the wire.

use super::wire::Wire;
use crate::emit::fields::Seen;

/// One attribute.
pub(super) fn write(wire: &mut Wire, field: u32, name: &str, value: Seen<'_>) {
    wire.message(field, |wire| {
        wire.text(1, name);
        wire.message(2, |wire| any(wire, value));
    });
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
