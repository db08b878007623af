//! Evidence of a read: what it has certainly seen, and what it can have shown at most.

use crate::session::Position;
use onefold_core::Lsn;

/// Between which positions the state lies that a value was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// What the value can vouch for: it shows no less.
    pub stamp: Stamp,
    /// It shows no more: whoever was shown the value and covers this position reads nothing older after it.
    pub shown: Position,
}

/// What the reads of one reader can have shown together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Shown {
    #[default]
    Nothing,
    UpTo(Position),
    /// Some were not asked, or they span two timelines, and no one position covers them.
    Unknown,
}

impl Shown {
    pub(crate) fn and(self, other: Option<Position>) -> Self {
        match (self, other) {
            (Self::Nothing, Some(other)) => Self::UpTo(other),
            (Self::UpTo(one), Some(other)) if one.timeline == other.timeline => {
                Self::UpTo(Position { lsn: one.lsn.max(other.lsn), ..one })
            }
            _ => Self::Unknown,
        }
    }
}

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
    fn reads_of_two_timelines_have_no_position_that_covers_both() {
        let at = |timeline, lsn| Some(Position { timeline, lsn: Lsn(lsn) });
        let one = Shown::default().and(at(1, 20)).and(at(1, 10));
        assert!(matches!(one, Shown::UpTo(position) if position.lsn == Lsn(20)));
        assert!(matches!(one.and(at(2, 30)), Shown::Unknown));
        assert!(matches!(one.and(None).and(at(1, 30)), Shown::Unknown));
    }

    #[test]
    fn the_weaker_stamp_vouches_for_both() {
        let (replayed, flushed) = (Stamp::Replayed(Lsn(10)), Stamp::Flushed(Lsn(10)));
        assert!(replayed.serves(Lsn(10)) && !flushed.serves(Lsn(10)));
        assert_eq!(replayed.weaker(flushed), flushed);
        assert_eq!(Stamp::Flushed(Lsn(11)).weaker(replayed).limit(), 11);
        assert_eq!(Stamp::Flushed(Lsn(12)).weaker(replayed), replayed);
    }
}
