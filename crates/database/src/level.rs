//! Consistency levels: what a read may miss.

use onefold_core::deadline::{DurationText, InvalidDuration, parse_duration};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a read must see, from strictest to loosest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// Everything committed before the read began: read on the primary.
    Strong,
    /// Everything that this session wrote or was shown: a replica that has replayed it, else the primary.
    #[default]
    YourWrites,
    /// Everything committed longer ago than this: a replica whose staleness is known to be less, else the primary.
    Bounded(Duration),
    /// Whatever the nearest live replica shows.
    Any,
}

impl fmt::Display for Read {
    /// As the header `onefold-consistency` carries it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strong => f.write_str("strong"),
            Self::YourWrites => f.write_str("your-writes"),
            Self::Bounded(staleness) => write!(f, "bounded={}", DurationText(*staleness)),
            Self::Any => f.write_str("any"),
        }
    }
}

impl FromStr for Read {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        match text {
            "strong" => Ok(Self::Strong),
            "your-writes" => Ok(Self::YourWrites),
            "any" => Ok(Self::Any),
            _ => match text.strip_prefix("bounded=") {
                Some(staleness) => Ok(Self::Bounded(parse_duration(staleness)?)),
                None => Err(InvalidLevel::Unknown(text.chars().take(40).collect())),
            },
        }
    }
}

/// A text that is no level.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLevel {
    /// No such word.
    #[error("`{0}` is no consistency level: it is one of strong, your-writes, bounded=DURATION, any")]
    Unknown(String),
    /// `bounded` without a duration.
    #[error(transparent)]
    Duration(#[from] InvalidDuration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_as_it_was_written() {
        for level in [Read::Strong, Read::YourWrites, Read::Bounded(Duration::from_millis(500)), Read::Any] {
            assert_eq!(level.to_string().parse::<Read>().unwrap(), level);
        }
        for wrong in ["", "STRONG", "bounded", "bounded=", "bounded=5"] {
            assert!(wrong.parse::<Read>().is_err(), "{wrong}");
        }
    }
}
