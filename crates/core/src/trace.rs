//! Trace context: which trace a piece of work belongs to, carried through HTTP, jobs and the outbox.
//!
//! The format is W3C Trace Context (`traceparent`, version 00). Node boundaries set the current context with
//! [`TraceContext::scope`]; a recorder of spans moves it on to the span that is open; tiers read it with
//! [`TraceContext::current`] where work leaves the node.

mod id;
mod position;
mod sample;

pub use id::{InvalidTraceId, TraceId};
pub use position::{Position, Scoped};
pub use sample::set_sampled_share;

use rand::Rng as _;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A position in a trace: a span.
#[derive(Clone, Copy, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    /// The span's parent, where the span is of this process; else, and for a root, zero.
    parent_id: u64,
    sampled: bool,
    /// Whether the id was made for a span that is still to be opened.
    is_reserved: bool,
}

impl TraceContext {
    /// The root of a new trace, recorded in full as the process's share decides.
    pub fn begin() -> Self {
        let half = nonzero();
        Self::new(half, sample::is_sampled(half))
    }

    /// The root of a new trace.
    pub fn root(sampled: bool) -> Self {
        Self::new(nonzero(), sampled)
    }

    fn new(half: u64, sampled: bool) -> Self {
        let trace_id = u128::from(nonzero()) << 64 | u128::from(half);
        Self { trace_id, span_id: nonzero(), parent_id: 0, sampled, is_reserved: true }
    }

    /// A new span of the same trace, whose parent is this one.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: nonzero(), parent_id: self.span_id, is_reserved: true, ..self }
    }

    /// The context that this task works in: that of the innermost span, or of the node's boundary.
    pub fn current() -> Option<Self> {
        Position::current().context
    }

    /// Runs `work` in this context. The first span that opens directly in it takes its id.
    pub fn scope<F: Future>(self, work: F) -> Scoped<F> {
        Scoped::new(self, work)
    }

    /// Runs `work`, which does not wait, in this context.
    pub fn enter<R>(self, work: impl FnOnce() -> R) -> R {
        position::enter(self, work)
    }

    /// The context once its span is open, and the id of the span's parent, zero for a root.
    pub fn opened(self) -> (Self, u64) {
        (Self { is_reserved: false, ..self }, self.parent_id)
    }

    /// The same trace at another span, which is open or was: `span` is not zero.
    #[must_use]
    pub fn at(self, span: u64) -> Self {
        Self { span_id: span, parent_id: 0, is_reserved: false, ..self }
    }

    /// As `traceparent` carries it, without the formatting machinery: for hot paths.
    pub fn encode(self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-................................-................-00";
        hexadecimal(&self.trace_id.to_be_bytes(), &mut text[3..35]);
        hexadecimal(&self.span_id.to_be_bytes(), &mut text[36..52]);
        text[54] = b'0' + u8::from(self.sampled);
        text
    }

    /// The trace.
    pub fn trace(self) -> TraceId {
        TraceId(self.trace_id)
    }

    /// The span's id, never zero.
    pub fn span(self) -> u64 {
        self.span_id
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id, 16 hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether the trace is recorded in full.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }
}

impl PartialEq for TraceContext {
    /// Whether they are the same span; how they came here does not count.
    fn eq(&self, other: &Self) -> bool {
        (self.trace_id, self.span_id, self.sampled) == (other.trace_id, other.span_id, other.sampled)
    }
}

impl Eq for TraceContext {}

impl Hash for TraceContext {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.trace_id, self.span_id, self.sampled).hash(state);
    }
}

/// The length of a `traceparent` of version 00.
pub const TRACEPARENT_BYTES: usize = 55;

fn hexadecimal(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn nonzero() -> u64 {
    rand::rng().next_u64().max(1)
}

impl fmt::Display for TraceContext {
    /// As `traceparent` carries it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// A `traceparent` that is malformed; W3C wants it ignored and a new trace begun.
#[derive(Debug, thiserror::Error)]
#[error("malformed traceparent")]
pub struct InvalidTraceparent;

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            parts
                .next()
                .filter(|p| p.len() == digits && p.bytes().all(is_lower_hex))
                .ok_or(InvalidTraceparent)
        };
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may append fields; version 00 may not, and ff is forbidden.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTraceparent)?;
        let span_id = u64::from_str_radix(span_id, 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, span_id, parent_id: 0, sampled: flags & 1 == 1, is_reserved: false })
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_reads_back_as_it_was_written() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), text);
        let root = TraceContext::root(true);
        assert_eq!(root.to_string().as_bytes(), root.encode());
        assert_eq!(root.enter(TraceContext::current), Some(root));
        assert_eq!(root.to_string().parse::<TraceContext>().unwrap(), root);
        assert_eq!(root.child().trace_id(), root.trace_id());
        assert_ne!(root.child().span_id(), root.span_id());
    }

    #[test]
    fn a_trace_id_reads_back_and_nonsense_is_refused() {
        let id = TraceContext::root(true).trace();
        assert_eq!(id.to_string().parse::<TraceId>().unwrap(), id);
        assert_eq!(id.to_string().as_bytes(), id.encode());
        for wrong in ["", "00000000000000000000000000000000", "0AF7651916CD43DD8448EB211C80319C"] {
            assert!(wrong.parse::<TraceId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn malformed_contexts_are_refused() {
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }
}
