//! Leases: the right to act for a while, with a token that only grows.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Grows with every grant of one name, over restarts and failovers too: what is written under a smaller token than
/// one already seen comes from a holder who does not know that its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub i64);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FencingToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        text.parse().map(Self).map_err(|_| InvalidToken(text.chars().take(40).collect()))
    }
}

/// A text that is no fencing token.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no fencing token: it is a whole number")]
pub struct InvalidToken(String);

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease's name.
    pub name: String,
    /// The token of this grant.
    pub token: FencingToken,
}

/// The answer to one who wants a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is theirs.
    Granted(Grant),
    /// Somebody holds it, for this long unless they renew: ask again then, or when it is released.
    Held {
        /// By the engine's clock; zero where a takeover waits for the holder's last transaction.
        remaining: Duration,
        /// Who.
        holder: String,
    },
}

/// What the holder of a lease reported with its last renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The lease's name.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// What they reported.
    pub report: i64,
}
