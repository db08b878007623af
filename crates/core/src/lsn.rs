//! A position in Postgres' write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A log sequence number, in bytes from the log's beginning.
///
/// Comparable only within one timeline of one cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before everything: every replica has replayed it.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = InvalidLsn;

    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let invalid = || InvalidLsn(text.chars().take(40).collect());
        let (high, low) = text.split_once('/').ok_or_else(invalid)?;
        let half = |part| u32::from_str_radix(part, 16).map(u64::from).map_err(|_| invalid());
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

/// A text that is no LSN.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no log position: Postgres writes it as two hexadecimal halves, like 0/16B3748")]
pub struct InvalidLsn(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_reads_back_as_postgres_writes_it() {
        for text in ["0/0", "0/16B3748", "1F/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        assert!("16B3748".parse::<Lsn>().is_err());
        assert!("0/1F/2".parse::<Lsn>().is_err());
    }
}
