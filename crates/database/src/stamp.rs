//! Stamps: what a value that was read can vouch for.

use onefold_core::Lsn;

/// What a read can vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Stamp {
    /// A replica's replay LSN from before the read. It serves a token T if it is ≥ T.
    Replayed(Lsn),
    /// The primary's flush LSN from before the read. It serves a token T only if it is > T: two commits may share
    /// one flush, and the second may still wait, invisible, for its standby.
    Flushed(Lsn),
}

impl Stamp {
    /// Whether what was read holds everything that a session with this token must see.
    pub fn serves(self, token: Lsn) -> bool {
        match self {
            Self::Replayed(lsn) => lsn >= token,
            Self::Flushed(lsn) => lsn > token,
        }
    }

    /// The weaker of two: it vouches for what was read under either.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        if self.limit() <= other.limit() { self } else { other }
    }

    /// The lowest token that it does not serve.
    fn limit(self) -> u128 {
        match self {
            Self::Replayed(lsn) => u128::from(lsn.0) + 1,
            Self::Flushed(lsn) => u128::from(lsn.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weaker_stamp_vouches_for_both() {
        let (replayed, flushed) = (Stamp::Replayed(Lsn(10)), Stamp::Flushed(Lsn(10)));
        assert!(replayed.serves(Lsn(10)) && !flushed.serves(Lsn(10)));
        assert_eq!(replayed.weaker(flushed), flushed);
        assert_eq!(Stamp::Flushed(Lsn(11)).weaker(replayed).limit(), 11);
        assert_eq!(Stamp::Flushed(Lsn(12)).weaker(replayed), replayed);
    }
}
