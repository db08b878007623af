//! The rules of the protocol as pure functions: may this copy serve this session, how fresh must this load be,
//! may this fill be stored, what does an invalidation do.
//!
//! Everything that makes the cache correct is decided here and nowhere else; the rest of the crate fetches the
//! arguments and obeys. The models in `tests/models` explore every interleaving of writers, nodes, replicas, bus and tail
//! over these functions, and find a stale read for each of them that is taken away.
//!
//! Where the protocol comes from: leases as in Facebook's memcache (NSDI'13), and log positions as floors and
//! stamps, so that a lagging replica and a session can be spoken of at all.

use onefold_core::Lsn;
use onefold_database::Stamp;
use uuid::Uuid;

/// How long a lease may be used to store what was loaded under it.
///
/// Shorter than [`TOMBSTONE_SECONDS`]: whatever was invalidated while the load ran is still on record when its
/// fill arrives.
pub const LEASE_SECONDS: u32 = 10;
/// How long an invalidation stays on record for its key; after that, the floor of the key's bucket covers it.
pub const TOMBSTONE_SECONDS: u32 = 60;

/// The right to store one load's result. Random, so that an engine that lost its memory cannot grant one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(pub Uuid);

impl LeaseId {
    /// A new one, never granted before.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Counts the invalidations that a bucket of L1 has heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// What a node knows about a bucket of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Raised by every invalidation in the bucket, from the bus and from the tail.
    pub generation: Generation,
    /// The highest invalidation heard of: a load must see at least this much.
    pub floor: Lsn,
    /// Every invalidation up to here has been applied in this node.
    pub watermark: Lsn,
}

/// What a copy, or a flight's answer, can vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What its load had certainly seen.
    pub stamp: Stamp,
    /// Whether this node's watermark may speak for it; see [`watermark_vouches`].
    pub vouched: bool,
}

/// What a session demands of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Demand {
    /// The position that the copy must show; zero: anything will do.
    pub token: Lsn,
    /// The highest position in it that is not the session's own writes, or of which L2 had not heard when the session
    /// got its token; zero where there is none.
    pub unconfirmed: Lsn,
    /// Of the session's node, from before anything was looked up.
    pub watermark: Lsn,
}

impl Demand {
    /// What is left of it where the session's own writes have been seen to.
    fn beyond_writes(self) -> Self {
        Self { token: self.unconfirmed, ..self }
    }
}

/// What a load must have seen, by everybody who has a say in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Of the lease: the last invalidation of the key.
    pub need: Lsn,
    /// Of the node: the last invalidation heard of in the bucket.
    pub floor: Lsn,
    /// Of the session.
    pub token: Lsn,
}

/// Whether a value with this stamp shows every commit whose writer got its token at or before `token`.
///
/// A replica's position was replayed, so it serves equality. The primary's flush position may cover a commit that
/// still waits for its standby and is invisible, while the commit before it, of the same flush, has handed out the
/// same position as its token: strictly more is needed.
pub fn stamp_serves(stamp: Stamp, token: Lsn) -> bool {
    token == Lsn::ZERO || stamp.serves(token)
}

/// Whether a value with this stamp shows a session all that it wrote and was shown.
///
/// A replica may have shown it a commit that the primary did not show yet, far below the primary's flush position: for
/// what is unconfirmed, that position says nothing.
pub fn stamp_satisfies(stamp: Stamp, demand: Demand) -> bool {
    let told_by_replica = matches!(stamp, Stamp::Replayed(_)) || demand.unconfirmed == Lsn::ZERO;
    told_by_replica && stamp_serves(stamp, demand.token)
}

/// Whether a copy in L1 may serve a session, by its own stamp or because the node has applied every invalidation
/// that the session may know of.
///
/// The caller reads the watermark *before* it looks the copy up: the other way round, the tail could drop the copy
/// and raise the watermark in between.
pub fn l1_serves(claim: Claim, demand: Demand) -> bool {
    stamp_satisfies(claim.stamp, demand) || (claim.vouched && demand.watermark >= demand.token)
}

/// Whether a value in L2 may serve a session: as a copy in L1 may, or because the session's own writes have been
/// invalidated here. What else the session knows of may not have been: for that the copy must answer itself.
///
/// The caller reads the watermark first, then the floor by which the claim is vouched for, then L2.
/// `keeps_invalidations` says that the engine loses none that it has acknowledged.
pub fn l2_serves(claim: Claim, demand: Demand, keeps_invalidations: bool) -> bool {
    l1_serves(claim, demand) || (keeps_invalidations && l1_serves(claim, demand.beyond_writes()))
}

/// Whether a copy that does not serve a session yet will do so as soon as the node has caught up: to load it anew
/// would gain nothing for anybody else.
pub fn watermark_will_serve(claim: Claim, demand: Demand) -> bool {
    claim.vouched && demand.watermark < demand.token
}

/// Whether a value may go into L1: nothing in its bucket was invalidated since its load, or its look into L2, began.
pub fn l1_admits(begun: Generation, now: Generation) -> bool {
    begun == now
}

/// Whether the node's watermark may speak for a copy that came from L2.
///
/// The tail can hear of a commit before its writer has invalidated L2. A copy that is taken out of L2 in between is
/// old, enters L1 under the new generation, and the watermark has already passed the commit: only the stamp can
/// tell. A load needs no such test, since it reads at least at the floor.
pub fn watermark_vouches(stamp: Stamp, floor: Lsn) -> bool {
    stamp_serves(stamp, floor)
}

/// How much a load must have seen.
pub fn load_least(freshness: Freshness) -> Lsn {
    freshness.need.max(freshness.floor).max(freshness.token)
}

/// Whether a reader may take the answer of a flight that another reader of its node began: as a copy in L1. The flight
/// belongs to the generation in which it was joined, so it began after the last invalidation that the reader's
/// watermark covers, and its answer is vouched for by what would vouch for the copy that becomes of it.
///
/// One of unknown evidence is of no use to a tracked session, whose token could not cover it.
pub fn flight_serves(claim: Option<Claim>, demand: Demand, tracked: bool) -> bool {
    claim.map_or(demand.token == Lsn::ZERO && !tracked, |claim| l1_serves(claim, demand))
}

/// Whether it is worth waiting for a flight: its answer will probably pass [`flight_serves`].
pub fn flight_is_promising(least: Lsn, token: Lsn, watermark: Lsn) -> bool {
    token == Lsn::ZERO || least >= token || watermark >= token
}

/// Whether L2 stores a fill: only under the lease that is current, for an invalidation since would have revoked it.
pub fn fill_is_stored(current: Option<LeaseId>, filling: LeaseId) -> bool {
    current == Some(filling)
}

/// How much a load under a new lease must have seen. `floor` is the bucket's: after an engine has lost its memory,
/// the primary's flush position at that moment; and raised by every tombstone that is forgotten.
pub fn need(tombstone: Option<Lsn>, floor: Lsn) -> Lsn {
    tombstone.unwrap_or(Lsn::ZERO).max(floor)
}

/// What a record of L2 remembers besides its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whether its value is valid; an invalid one is kept as the stale copy.
    pub valid: bool,
    /// The last invalidation.
    pub tombstone: Lsn,
    /// Who may fill it.
    pub lease: Option<LeaseId>,
}

/// An invalidation in L2: the value becomes a stale copy, the tombstone rises, the lease is revoked.
#[must_use]
pub fn invalidated(record: Record, at: Lsn) -> Record {
    Record { valid: false, tombstone: record.tombstone.max(at), lease: None }
}

/// An invalidation heard on the bus. It says nothing about others before it, for the bus does not keep order: the
/// watermark stays.
#[must_use]
pub fn heard(view: View, at: Lsn) -> View {
    View { generation: next(view.generation), floor: view.floor.max(at), ..view }
}

/// The tail has passed an invalidation in this bucket; `flushed` is a position that covers its commit.
#[must_use]
pub fn tailed(view: View, flushed: Lsn) -> View {
    View { generation: next(view.generation), floor: view.floor.max(flushed), ..view }
}

/// After a gap or at the start: nothing is known of what was missed, so the bucket must see everything that the
/// primary had flushed when the subscription stood.
#[must_use]
pub fn resynced(view: View, flushed: Lsn) -> View {
    View { generation: next(view.generation), floor: view.floor.max(flushed), ..view }
}

fn next(generation: Generation) -> Generation {
    Generation(generation.0.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_stamp_does_not_serve_its_own_position() {
        assert!(stamp_serves(Stamp::Replayed(Lsn(5)), Lsn(5)));
        assert!(!stamp_serves(Stamp::Flushed(Lsn(5)), Lsn(5)));
        assert!(stamp_serves(Stamp::Flushed(Lsn(6)), Lsn(5)));
    }

    const OLD: Claim = Claim { stamp: Stamp::Replayed(Lsn(5)), vouched: false };

    #[test]
    fn a_session_without_a_token_asks_for_nothing() {
        let nothing = Demand::default();
        assert!(stamp_satisfies(Stamp::Flushed(Lsn::ZERO), nothing));
        assert!(flight_serves(None, nothing, false));
        assert!(!flight_serves(None, nothing, true), "what it shows is not known, and is to be covered");
        assert!(!flight_serves(None, Demand { token: Lsn(1), ..nothing }, false));
    }

    #[test]
    fn what_is_unconfirmed_reads_past_l2() {
        let confirmed = Demand { token: Lsn(9), unconfirmed: Lsn::ZERO, watermark: Lsn(8) };
        let unconfirmed = Demand { unconfirmed: Lsn(9), ..confirmed };
        assert!(l2_serves(OLD, confirmed, true));
        assert!(!l2_serves(OLD, confirmed, false), "an engine that may forget is not trusted");
        assert!(!l2_serves(OLD, unconfirmed, true));
        let vouched = Claim { vouched: true, ..OLD };
        assert!(watermark_will_serve(vouched, unconfirmed) && !watermark_will_serve(OLD, unconfirmed));
        assert!(
            l2_serves(vouched, Demand { watermark: Lsn(9), ..unconfirmed }, false),
            "the watermark serves"
        );
    }

    #[test]
    fn a_copy_answers_for_what_the_writes_do_not_cover() {
        let shown = Demand { token: Lsn(9), unconfirmed: Lsn(5), watermark: Lsn(4) };
        assert!(l2_serves(OLD, shown, true), "its stamp covers that");
        assert!(!l2_serves(OLD, Demand { unconfirmed: Lsn(6), ..shown }, true));
    }

    #[test]
    fn the_flush_position_says_nothing_of_what_a_replica_showed() {
        let token = Demand { token: Lsn(5), unconfirmed: Lsn::ZERO, watermark: Lsn(4) };
        let shown = Demand { unconfirmed: Lsn(5), ..token };
        assert!(stamp_satisfies(Stamp::Flushed(Lsn(9)), token));
        assert!(!stamp_satisfies(Stamp::Flushed(Lsn(9)), shown));
        assert!(stamp_satisfies(Stamp::Replayed(Lsn(9)), shown));
        let load = Claim { stamp: Stamp::Flushed(Lsn(9)), vouched: true };
        assert!(!l1_serves(load, shown) && l1_serves(load, Demand { watermark: Lsn(5), ..shown }));
    }
}
