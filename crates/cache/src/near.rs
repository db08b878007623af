//! What this node has at hand: its own level, and the answers of its flights.

use crate::decision::{self, Claim, Demand};
use crate::flight::Landed;
use crate::lookup::Lookup;
use crate::payload::Answer;
use onefold_database::{Evidence, Position};

/// A copy that may stand in, and what it can show at most.
#[derive(Clone)]
pub(crate) struct StandIn<V> {
    pub(crate) answer: Answer<V>,
    pub(crate) shown: Position,
}

/// What this node has to offer beside a hit.
pub(crate) struct AtHand<V> {
    /// A copy that answers at once where another is renewing it.
    pub(crate) while_renewed: Option<StandIn<V>>,
    /// A copy for when the load fails.
    pub(crate) on_error: Option<StandIn<V>>,
    /// Whether the copy is fresh, and is only to be renewed before its end.
    pub(crate) early: bool,
    /// Whether the copy is fresh, and too old for this session alone, until the node has caught up.
    pub(crate) lags: bool,
}

impl<V> Default for AtHand<V> {
    fn default() -> Self {
        Self { while_renewed: None, on_error: None, early: false, lags: false }
    }
}

pub(crate) enum Near<V> {
    Hit(Option<V>),
    Miss(AtHand<V>),
}

impl Lookup<'_> {
    /// Looks into this node's level.
    pub(crate) fn look_near<V: Clone + Send + Sync + 'static>(&self, demand: Demand) -> Near<V> {
        let Some(entry) = self.node.l1.get(&self.key) else { return Near::Miss(AtHand::default()) };
        let Some(answer) = entry.value.downcast_ref::<Answer<V>>() else {
            return Near::Miss(AtHand::default());
        };
        let (now, policy) = (self.node.clock.now(), &self.space.policy);
        let (fresh, shown) = (entry.is_fresh(now), entry.evidence.shown);
        let copy = || StandIn { answer: answer.clone(), shown };
        if fresh && decision::l1_serves(entry.claim(), demand) {
            let early = entry.is_early(policy, now) && !self.node.flights.is_under_way(self.key.text());
            if !early {
                self.node.telemetry.hits_l1.inc();
                let result = if answer.0.is_some() { "hit" } else { "negative" };
                self.tell(result, "l1", Some(entry.evidence.stamp));
                self.shows(shown);
                return Near::Hit(answer.0.clone());
            }
            let copy = Some(copy());
            return Near::Miss(AtHand { while_renewed: copy.clone(), on_error: copy, early, lags: false });
        }
        let stands_in = |bound| entry.stands_in(bound, demand, now).then(copy);
        Near::Miss(AtHand {
            while_renewed: stands_in(policy.stale_while_revalidate),
            on_error: stands_in(policy.stale_if_error),
            early: false,
            lags: fresh && decision::watermark_will_serve(entry.claim(), demand),
        })
    }

    /// Takes a flight's answer, if it is fresh enough.
    pub(crate) fn take<V: Clone + 'static>(&self, landed: &Landed, demand: Demand) -> Option<Answer<V>> {
        let answer = landed.value.downcast_ref::<Answer<V>>()?;
        let Landed { evidence, vouched, .. } = *landed;
        let claim = evidence.map(|Evidence { stamp, .. }| Claim { stamp, vouched });
        if !decision::flight_serves(claim, demand, self.session.is_tracked()) {
            return None;
        }
        self.node.telemetry.hits_flight.inc();
        // Another's load of this moment.
        self.tell("hit", "load", claim.map(|claim| claim.stamp));
        if let Some(Evidence { shown, .. }) = evidence {
            self.shows(shown);
        }
        Some(answer.clone())
    }

    /// Has the session cover what it is shown. Where this node has not caught up with it yet, the copies in it would
    /// not serve the session, and so it is hurried on.
    pub(crate) fn shows(&self, shown: Position) {
        if self.session.is_tracked() {
            self.session.cover_read(shown);
            if shown.lsn > self.node.l1.watermark() {
                self.node.hurry();
            }
        }
    }
}
