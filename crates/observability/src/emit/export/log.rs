//! Log records on the wire: `opentelemetry.proto.logs.v1.ScopeLogs`, a scope for each target.

use super::anchor::unix_nanos;
use super::attribute;
use super::wire::Wire;
use crate::emit::fields::Seen;
use crate::emit::recorder::Lines;
use tracing::Level;

/// Writes records, those in a row with one target as one message of `field`; answers how many there are.
pub(super) fn write(wire: &mut Wire, field: u32, lines: &Lines) -> usize {
    let mut records = lines.iter().peekable();
    while let Some((first, _, _)) = records.peek() {
        let target = first.metadata.target();
        wire.message(field, |wire| {
            wire.message(1, |wire| wire.text(1, target));
            while let Some((record, body, fields)) =
                records.next_if(|(next, _, _)| next.metadata.target() == target)
            {
                wire.message(2, |wire| {
                    let at = unix_nanos(record.at);
                    wire.fixed64(1, at);
                    wire.uint(2, severity(*record.metadata.level()));
                    wire.text(3, record.metadata.level().as_str());
                    wire.message(5, |wire| attribute::any(wire, Seen::Text(body)));
                    for (name, value) in fields {
                        attribute::write(wire, 6, name, value);
                    }
                    if let Some(context) = record.context {
                        wire.fixed32(8, u32::from(context.is_sampled()));
                        wire.data(9, &context.trace().to_bytes());
                        wire.data(10, &context.span().to_be_bytes());
                    }
                    wire.fixed64(11, at);
                });
            }
        });
    }
    lines.len()
}

fn severity(level: Level) -> u64 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    }
}
