//! Trace context: which trace a piece of work belongs to, carried through HTTP, jobs and the outbox.
//!
//! The format is W3C Trace Context (`traceparent`, version 00). The current context is a task-local that node
//! boundaries set with [`TraceContext::scope`]; tiers read it with [`TraceContext::current`] where work leaves
//! the node.

use rand::Rng as _;
use std::fmt;
use std::future::Future;
use std::str::FromStr;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A position in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// The root of a new trace.
    pub fn root(sampled: bool) -> Self {
        Self { trace_id: u128::from(nonzero()) << 64 | u128::from(nonzero()), span_id: nonzero(), sampled }
    }

    /// A new span of the same trace, whose parent is this one.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: nonzero(), ..self }
    }

    /// The context that the current task works in.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Runs `work` in this context.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Runs `work`, which does not wait, in this context.
    pub fn enter<R>(self, work: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self, work)
    }

    /// As `traceparent` carries it, without the formatting machinery: for hot paths.
    pub fn encode(self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-................................-................-00";
        hexadecimal(&self.trace_id.to_be_bytes(), &mut text[3..35]);
        hexadecimal(&self.span_id.to_be_bytes(), &mut text[36..52]);
        text[54] = b'0' + u8::from(self.sampled);
        text
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
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
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
