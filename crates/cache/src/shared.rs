//! Asking L2: a value, a lease to load one, or the wait for another node's load.

use crate::decision::{self, Claim};
use crate::l2::{Copied, Got, Guarded, Want};
use crate::lease::Held;
use crate::lookup::{Demand, Lookup};
use crate::payload::{self, Answer};
use onefold_core::Lsn;
use onefold_database::Stamp;
use rand::RngExt as _;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The first and the longest pause between two looks at another node's load.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(50);

/// What L2 had to say.
pub(crate) enum Asked<V> {
    Found(Found<V>),
    /// Load, and fill.
    Leased {
        lease: Held,
        need: Lsn,
        /// For when the load fails.
        on_error: Option<Answer<V>>,
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
    pub(crate) stamp: Stamp,
    /// Zero for a stale copy.
    pub(crate) remaining: Duration,
}

impl Lookup<'_> {
    /// Asks L2, if this entry goes there; `floor` is the bucket's, read after the watermark. With `renew`, a lease is wanted although there is a value.
    pub(crate) async fn ask_shared<V: DeserializeOwned>(
        &self,
        demand: Demand,
        floor: Lsn,
        renew: bool,
    ) -> Asked<V> {
        let Some(l2) = self.node.l2.as_ref().filter(|_| self.space.is_dear(self.node.config.dear_after))
        else {
            return Asked::Absent;
        };
        let asked = self.node.clock.now();
        let patience = self.patience(self.node.config.lease_wait, asked);
        let mut pause = LOOK_AGAIN;
        let (mut renew, mut waits) = (renew, 0);
        loop {
            let want = if renew { Want::Refresh } else { Want::Value };
            // The breaker has told of the error.
            let Ok(got) = l2.get(&self.key, want).await else { return Asked::Absent };
            match got {
                Got::Hit(copied) => {
                    // One caller renews what is about to end; it has tried once it was told that another does.
                    let early = |found: &Found<V>| {
                        waits == 0 && self.space.policy.is_early(found.remaining, found.answer.0.is_none())
                    };
                    match self.judge(l2, &copied, demand, floor) {
                        Some(found) if !early(&found) => return Asked::Found(found),
                        // About to end, of another layout, or too old for this session.
                        _ => renew = true,
                    }
                    continue;
                }
                Got::Leased { lease, need, stale } => {
                    let on_error = stale
                        .and_then(|stale| self.stand_in(&stale, demand, self.space.policy.stale_if_error));
                    let lease = Held::new(self.node, &self.key, lease);
                    return Asked::Leased { lease, need, on_error: on_error.map(|found| found.answer) };
                }
                Got::Busy { stale } => {
                    let bound = self.space.policy.stale_while_revalidate;
                    if let Some(found) = stale.and_then(|stale| self.stand_in(&stale, demand, bound)) {
                        return Asked::Found(found);
                    }
                }
            }
            let waited = self.node.clock.now().saturating_duration_since(asked);
            if waited >= patience {
                return Asked::Busy;
            }
            tokio::time::sleep(pause.min(patience.saturating_sub(waited))).await;
            pause =
                (pause * 2).min(LOOK_AGAIN_MAX).mul_f64(rand::rng().random_range(0.8..1.0)).max(LOOK_AGAIN);
            (renew, waits) = (false, waits + 1);
        }
    }

    fn judge<V: DeserializeOwned>(
        &self,
        l2: &Guarded,
        copied: &Copied,
        demand: Demand,
        floor: Lsn,
    ) -> Option<Found<V>> {
        let Demand { token, watermark, confirmed } = demand;
        let vouched = decision::watermark_vouches(copied.stamp, floor);
        let claim = Claim { stamp: copied.stamp, vouched };
        let keeps = l2.capabilities().keeps_invalidations;
        decision::l2_serves(claim, token, watermark, confirmed, keeps)
            .then(|| self.found(copied, copied.remaining))
            .flatten()
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
        (in_time && decision::stamp_serves(copied.stamp, demand.token))
            .then(|| self.found(copied, Duration::ZERO))
            .flatten()
    }

    fn found<V: DeserializeOwned>(&self, copied: &Copied, remaining: Duration) -> Option<Found<V>> {
        let answer = payload::decode(self.space.shape, &copied.payload)?;
        Some(Found { answer, bytes: copied.payload.len() as u64, stamp: copied.stamp, remaining })
    }
}
