//! The id of a trace.

use std::fmt;
use std::str::FromStr;

/// The id of a trace, written as 32 hexadecimal digits. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub(super) u128);

impl TraceId {
    /// As the wire carries it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Its 32 digits, without the formatting machinery: for hot paths.
    pub fn encode(self) -> [u8; 32] {
        let mut text = [0; 32];
        super::hexadecimal(&self.to_bytes(), &mut text);
        text
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is no trace id.
#[derive(Debug, thiserror::Error)]
#[error("a trace id is 32 lower-case hexadecimal digits, not all zero")]
pub struct InvalidTraceId;

impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, InvalidTraceId> {
        if text.len() != 32 || !text.bytes().all(super::is_lower_hex) {
            return Err(InvalidTraceId);
        }
        let id = u128::from_str_radix(text, 16).map_err(|_| InvalidTraceId)?;
        if id == 0 { Err(InvalidTraceId) } else { Ok(Self(id)) }
    }
}
