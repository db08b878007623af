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

/// What a copy in L1 can vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What its load had certainly seen.
    pub stamp: Stamp,
    /// Whether this node's watermark may speak for it; see [`watermark_vouches`].
    pub vouched: bool,
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

/// Whether a value with this stamp shows every commit that `token` covers.
///
/// A replica's position was replayed, so it serves equality. The primary's flush position may cover a commit that
/// still waits for its standby and is invisible, while the commit before it, of the same flush, has handed out the
/// same position as its token: strictly more is needed.
pub fn stamp_serves(stamp: Stamp, token: Lsn) -> bool {
    token == Lsn::ZERO || stamp.serves(token)
}

/// Whether a copy in L1 may serve a session, by its own stamp or because the node has applied every invalidation
/// that the session may know of.
///
/// The caller reads the watermark *before* it looks the copy up: the other way round, the tail could drop the copy
/// and raise the watermark in between.
pub fn l1_serves(claim: Claim, token: Lsn, watermark: Lsn) -> bool {
    stamp_serves(claim.stamp, token) || (claim.vouched && watermark >= token)
}

/// Whether a value in L2 may serve a session: as a copy in L1 may, or because the session's own writes have been
/// invalidated here.
///
/// The caller reads the watermark first, then the floor by which the claim is vouched for, then L2. `confirmed` says that the session's writes had been invalidated in L2 before it got its token;
/// `keeps_invalidations`, that the engine loses none that it has acknowledged.
pub fn l2_serves(
    claim: Claim,
    token: Lsn,
    watermark: Lsn,
    confirmed: bool,
    keeps_invalidations: bool,
) -> bool {
    l1_serves(claim, token, watermark) || (confirmed && keeps_invalidations)
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

/// Whether a reader may take the answer of a flight that another reader of its node began.
pub fn flight_serves(stamp: Option<Stamp>, token: Lsn) -> bool {
    token == Lsn::ZERO || stamp.is_some_and(|stamp| stamp_serves(stamp, token))
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

    #[test]
    fn a_session_without_a_token_asks_for_nothing() {
        assert!(stamp_serves(Stamp::Flushed(Lsn::ZERO), Lsn::ZERO));
        assert!(flight_serves(None, Lsn::ZERO));
        assert!(!flight_serves(None, Lsn(1)));
    }

    #[test]
    fn an_unconfirmed_session_reads_past_l2() {
        let old = Claim { stamp: Stamp::Replayed(Lsn(5)), vouched: false };
        let (token, watermark) = (Lsn(9), Lsn(20));
        assert!(l2_serves(old, token, watermark, true, true));
        assert!(!l2_serves(old, token, watermark, false, true));
        assert!(!l2_serves(old, token, watermark, true, false), "an engine that may forget is not trusted");
        assert!(l2_serves(old, Lsn(5), watermark, false, false), "its stamp serves");
        let vouched = Claim { vouched: true, ..old };
        assert!(l2_serves(vouched, token, watermark, false, false), "the watermark serves");
    }
}
