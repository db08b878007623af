//! A copy of a value in the node, with what it can vouch for and how long it may be used.

use crate::decision::{self, Claim, Demand};
use crate::space::Policy;
use onefold_database::Evidence;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The `Option<V>` of a key space whose type the reader knows.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// What an entry weighs beside its key and payload.
const OVERHEAD_BYTES: u64 = 160;

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) value: AnyValue,
    pub(crate) payload_bytes: u64,
    pub(crate) evidence: Evidence,
    /// Whether the node's watermark may speak for it.
    pub(crate) vouched: bool,
    /// Whether it says that there is none.
    pub(crate) negative: bool,
    /// Not invalidated.
    pub(crate) valid: bool,
    /// Until then it needs no question to L2 or the database.
    pub(crate) fresh_until: Instant,
    /// When its value's own lifetime ends.
    pub(crate) expires_at: Instant,
    pub(crate) keep_stale: Duration,
}

impl Entry {
    pub(crate) fn bytes(&self) -> u64 {
        self.payload_bytes + OVERHEAD_BYTES
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim { stamp: self.evidence.stamp, vouched: self.vouched }
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.valid && now < self.fresh_until
    }

    /// Whether it may stand in, for at most `bound` after its end, for a session that demands this.
    pub(crate) fn stands_in(&self, bound: Duration, demand: Demand, now: Instant) -> bool {
        !bound.is_zero()
            && now < self.fresh_until + bound
            && decision::stamp_satisfies(self.evidence.stamp, demand)
    }

    /// Whether a caller should load it anew although it is fresh.
    pub(crate) fn is_early(&self, policy: &Policy, now: Instant) -> bool {
        policy.is_early(self.expires_at.saturating_duration_since(now), self.negative)
    }

    /// What stays of it after an invalidation: the stale copy, where one is of any use.
    pub(crate) fn invalidated(&self) -> Option<Self> {
        (!self.keep_stale.is_zero()).then(|| Self { valid: false, vouched: false, ..self.clone() })
    }
}
