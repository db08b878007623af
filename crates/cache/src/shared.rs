//! Asking L2: a value, a lease to load one, or the wait for another node's load.

use crate::decision::{self, Claim, Demand};
use crate::l2::{Copied, Got, Guarded, Want};
use crate::lease::Held;
use crate::lookup::Lookup;
use crate::near::StandIn;
use crate::payload::{self, Answer};
use onefold_core::Lsn;
use onefold_database::Evidence;
use rand::RngExt as _;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The first and the longest pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(50);
/// How long a caller waits at most until this node has caught up with what its session was shown.
const CATCH_UP_MAX: Duration = Duration::from_millis(50);

/// A node that has not loaded by then has more in the way than a slow database.
const LOADS_AWAITED: u32 = 3;

/// What L2 had to say.
pub(crate) enum Asked<V> {
    Found(Found<V>),
    /// Load, and fill.
    Leased {
        lease: Held,
        need: Lsn,
        /// For when the load fails.
        on_error: Option<StandIn<V>>,
    },
    /// Another loads and takes too long: load for yourself alone.
    Busy,
    /// This entry has no part in L2, or L2 does not answer.
    Absent,
}

/// A value that may serve the session.
pub(crate) struct Found<V> {
    pub(crate) answer: Answer<V>,
    pub(crate) bytes: u64,
    pub(crate) evidence: Evidence,
    /// Zero for a stale copy.
    pub(crate) remaining: Duration,
}

/// Whether a valid value may serve the session.
enum Judged<V> {
    Serves(Found<V>),
    /// It will, once this node has caught up.
    Lags,
    Refused,
}

/// Pauses that grow, and what they have come to.
struct Pauses {
    slept: Duration,
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { slept: Duration::ZERO, next: LOOK_AGAIN }
    }
}

impl Pauses {
    /// Pauses, unless that has been done for so long already.
    async fn take(&mut self, patience: Duration) -> bool {
        if self.slept >= patience {
            return false;
        }
        let pause = self.next.min(patience.saturating_sub(self.slept));
        tokio::time::sleep(pause).await;
        self.slept += pause;
        let spread = rand::rng().random_range(0.8..1.0);
        self.next = (self.next * 2).min(LOOK_AGAIN_MAX).mul_f64(spread).max(LOOK_AGAIN);
        true
    }
}

impl Lookup<'_> {
    /// Asks L2, if this entry goes there. With `renew`, a lease is wanted although there is a value.
    pub(crate) async fn ask_shared<V: DeserializeOwned>(&self, mut demand: Demand, renew: bool) -> Asked<V> {
        let Some(l2) = self.node.l2.as_ref().filter(|_| self.space.is_dear(self.node.config.dear_after))
        else {
            return Asked::Absent;
        };
        let patience = self.lease_patience();
        let (mut loading, mut lagging) = (Pauses::default(), Pauses::default());
        let (mut renew, mut waits) = (renew, 0);
        loop {
            // In this order: the watermark, the floor, L2.
            demand.watermark = self.node.l1.watermark();
            let floor = self.node.l1.begin(&self.key).floor;
            let want = if renew { Want::Refresh } else { Want::Value };
            // The breaker has told of the error.
            let Ok(got) = l2.get(&self.key, want).await else { return Asked::Absent };
            match got {
                Got::Hit(copied) => {
                    // One caller renews what is about to end; it has tried once it was told that another does.
                    renew = match self.judge(l2, &copied, demand, floor) {
                        Judged::Serves(found) if waits > 0 || !self.is_early(&found) => {
                            return Asked::Found(found);
                        }
                        Judged::Lags => !self.catches_up(&mut lagging).await,
                        // About to end, of another layout, or too old for this session.
                        Judged::Serves(_) | Judged::Refused => true,
                    };
                    continue;
                }
                Got::Leased { lease, need, stale } => {
                    let on_error = stale
                        .and_then(|stale| self.stand_in(&stale, demand, self.space.policy.stale_if_error))
                        .map(|Found { answer, evidence, .. }| StandIn { answer, shown: evidence.shown });
                    let lease = Held::new(self.node, &self.key, lease);
                    return Asked::Leased { lease, need, on_error };
                }
                Got::Busy { stale } => {
                    let bound = self.space.policy.stale_while_revalidate;
                    if let Some(found) = stale.and_then(|stale| self.stand_in(&stale, demand, bound)) {
                        return Asked::Found(found);
                    }
                }
            }
            if !loading.take(patience).await {
                return Asked::Busy;
            }
            (renew, waits) = (false, waits + 1);
        }
    }

    fn judge<V: DeserializeOwned>(
        &self,
        l2: &Guarded,
        copied: &Copied,
        demand: Demand,
        floor: Lsn,
    ) -> Judged<V> {
        let stamp = copied.evidence.stamp;
        let claim = Claim { stamp, vouched: decision::watermark_vouches(stamp, floor) };
        if decision::l2_serves(claim, demand, l2.capabilities().keeps_invalidations) {
            return self.found(copied, copied.remaining).map_or(Judged::Refused, Judged::Serves);
        }
        if decision::watermark_will_serve(claim, demand) { Judged::Lags } else { Judged::Refused }
    }

    fn is_early<V>(&self, found: &Found<V>) -> bool {
        self.space.policy.is_early(found.remaining, found.answer.0.is_none())
    }

    /// How long another node's load is waited for. What is left then must do for a load of one's own.
    fn lease_patience(&self) -> Duration {
        let most = self.node.config.lease_wait.max(self.space.load_time() * LOADS_AWAITED);
        let now = self.node.clock.now();
        self.session.deadline().map_or(most, |deadline| most.min(deadline.remaining(now) / 2))
    }

    /// Waits a moment for this node to catch up; answers whether it is worth another look. To wait longer than a
    /// load takes is not.
    async fn catches_up(&self, lagging: &mut Pauses) -> bool {
        self.node.hurry();
        let load = self.space.load_time().max(self.node.config.dear_after);
        lagging.take(self.patience(load.min(CATCH_UP_MAX), self.node.clock.now())).await
    }

    /// A copy whose time is over, or that another is renewing, in the place of the value.
    fn stand_in<V: DeserializeOwned>(
        &self,
        copied: &Copied,
        demand: Demand,
        bound: Duration,
    ) -> Option<Found<V>> {
        let valid = !copied.remaining.is_zero();
        let in_time = valid || copied.stale_for < bound;
        (in_time && decision::stamp_satisfies(copied.evidence.stamp, demand))
            .then(|| self.found(copied, Duration::ZERO))
            .flatten()
    }

    fn found<V: DeserializeOwned>(&self, copied: &Copied, remaining: Duration) -> Option<Found<V>> {
        let answer = payload::decode(self.space.shape, &copied.payload)?;
        Some(Found { answer, bytes: copied.payload.len() as u64, evidence: copied.evidence, remaining })
    }
}
