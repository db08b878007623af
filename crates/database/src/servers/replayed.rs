//! What a replica has certainly replayed, and for whom that holds.

use crate::connection::Tick;
use onefold_core::Lsn;

/// What a replica had replayed at a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) lsn: Lsn,
    pub(crate) at: Tick,
}

impl Replayed {
    /// Joins another observation, made at `at` by a connection born at `born`.
    ///
    /// If that connection was alive at the older one, the server has run all the while and only goes forward; if
    /// not, the server may have been restarted in between, and the older observation is void.
    pub(crate) fn join(self, lsn: Lsn, at: Tick, born: Tick) -> Self {
        if at <= self.at {
            return self;
        }
        let lsn = if born < self.at { self.lsn.max(lsn) } else { lsn };
        Self { lsn, at }
    }

    /// The LSN, for a connection that proves the server to be the same start that was observed.
    pub(crate) fn for_connection(self, born: Tick) -> Option<Lsn> {
        (born < self.at).then_some(self.lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_binds_only_connections_from_before_it() {
        let replayed = Replayed::default().join(Lsn(100), Tick(10), Tick(5));
        assert_eq!(replayed.for_connection(Tick(9)), Some(Lsn(100)));
        assert_eq!(replayed.for_connection(Tick(11)), None, "the server may have been restarted in between");
    }

    #[test]
    fn a_reconnect_voids_what_was_replayed_before() {
        let before = Replayed::default().join(Lsn(100), Tick(10), Tick(5));
        let same_start = before.join(Lsn(90), Tick(20), Tick(6));
        assert_eq!(same_start.lsn, Lsn(100), "the same start never goes back");
        let restarted = before.join(Lsn(90), Tick(20), Tick(15));
        assert_eq!(restarted.lsn, Lsn(90));
        assert_eq!(restarted.join(Lsn(200), Tick(9), Tick(1)), restarted, "late news of the earlier start");
    }
}
