//! Spans on the wire: `opentelemetry.proto.trace.v1.Span`.

use super::anchor::Anchor;
use super::wire::Wire;
use super::{attribute, statement, tier};
use crate::emit::fields::Seen;
use crate::emit::packed;
use crate::emit::recorder::{Kept, View};
use crate::emit::semantics::{self, Status};
use onefold_core::{Role, TraceContext};

/// Writes the spans of parts.
pub(super) struct Spans {
    pub(super) role: Role,
    pub(super) anchor: Anchor,
}

impl Spans {
    /// Writes all spans of a part, each as a message of `field`; answers how many.
    pub(super) fn write(&self, wire: &mut Wire, field: u32, part: View<'_>) -> usize {
        for index in 0..part.spans.len() {
            // A part has fewer spans.
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            wire.message(field, |wire| self.span(wire, part, index));
        }
        part.spans.len()
    }

    fn span(&self, wire: &mut Wire, part: View<'_>, index: u8) {
        let span = &part.spans[usize::from(index)];
        let reading = semantics::read(part, index);
        wire.data(1, &part.trace().to_bytes());
        wire.data(2, &span.id.to_be_bytes());
        if span.parent != 0 {
            wire.data(4, &span.parent.to_be_bytes());
        }
        match reading.query {
            "" => wire.text(5, reading.name),
            query => wire.text(5, &statement::summary(query)),
        }
        wire.uint(6, reading.kind as u64);
        wire.fixed64(7, self.anchor.unix_nanos(span.started));
        wire.fixed64(8, self.anchor.unix_nanos(span.ended.unwrap_or(span.started)));
        let has_own_tier = attributes(wire, part, index);
        if !has_own_tier {
            let tier = tier::of(span.metadata.target(), self.role);
            attribute::write(wire, 9, "onefold.tier", Seen::Text(tier));
        }
        if let Some(kept) = part.kept {
            attribute::write(wire, 9, "onefold.kept", Seen::Text(kept_name(kept)));
        }
        part.links(index).chain(reading.link).for_each(|to| link(wire, to));
        if reading.status != Status::Unset {
            wire.message(15, |wire| {
                if !reading.message.is_empty() {
                    wire.text(2, reading.message);
                }
                wire.uint(3, reading.status as u64);
            });
        }
        wire.fixed32(16, u32::from(part.context.is_sampled()));
    }
}

/// Writes a span's attributes, of two of one number the later; answers whether one names the tier.
fn attributes(wire: &mut Wire, part: View<'_>, index: u8) -> bool {
    let metadata = part.spans[usize::from(index)].metadata;
    let (mut once, mut twice) = (0_u64, 0_u64);
    for (number, _) in part.numbered(index) {
        twice |= once & bit(number);
        once |= bit(number);
    }
    let mut has_tier = false;
    for (at, (number, value)) in part.numbered(index).enumerate() {
        let is_outdated = || part.numbered(index).skip(at + 1).any(|(later, _)| later == number);
        let name = packed::name(metadata, number);
        if !semantics::is_special(name) && (twice & bit(number) == 0 || !is_outdated()) {
            attribute::write(wire, 9, name, value);
            has_tier |= name == "onefold.tier";
        }
    }
    has_tier
}

/// Numbers are below 64.
fn bit(number: u8) -> u64 {
    1 << (number & 63)
}

fn link(wire: &mut Wire, to: TraceContext) {
    wire.message(13, |wire| {
        wire.data(1, &to.trace().to_bytes());
        wire.data(2, &to.span().to_be_bytes());
    });
}

fn kept_name(kept: Kept) -> &'static str {
    match kept {
        Kept::Error => "error",
        Kept::Slow => "slow",
        Kept::Asked => "asked",
    }
}
