//! What this node has at hand: its own level, and the answers of its flights.

use crate::decision;
use crate::flight::Landed;
use crate::lookup::{Demand, Lookup};
use crate::payload::Answer;

/// What this node has to offer beside a hit.
pub(crate) struct AtHand<V> {
    /// A copy that answers at once where another is renewing it.
    pub(crate) while_renewed: Option<Answer<V>>,
    /// A copy for when the load fails.
    pub(crate) on_error: Option<Answer<V>>,
    /// Whether the copy is fresh, and is only to be renewed before its end.
    pub(crate) early: bool,
}

impl<V> Default for AtHand<V> {
    fn default() -> Self {
        Self { while_renewed: None, on_error: None, early: false }
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
        if entry.is_fresh(now) && decision::l1_serves(entry.claim(), demand.token, demand.watermark) {
            let early = entry.is_early(policy, now) && !self.node.flights.is_under_way(self.key.text());
            if !early {
                self.node.telemetry.hits_l1.inc();
                self.tell("hit l1", Some(entry.stamp));
                return Near::Hit(answer.0.clone());
            }
            let copy = Some(answer.clone());
            return Near::Miss(AtHand { while_renewed: copy.clone(), on_error: copy, early });
        }
        let stands_in = |bound| entry.stands_in(bound, demand.token, now).then(|| answer.clone());
        Near::Miss(AtHand {
            while_renewed: stands_in(policy.stale_while_revalidate),
            on_error: stands_in(policy.stale_if_error),
            early: false,
        })
    }

    /// Takes a flight's answer, if it is fresh enough.
    pub(crate) fn take<V: Clone + 'static>(&self, landed: &Landed, demand: Demand) -> Option<Answer<V>> {
        let answer = landed.value.downcast_ref::<Answer<V>>()?;
        if !decision::flight_serves(landed.stamp, demand.token) {
            return None;
        }
        self.node.telemetry.hits_flight.inc();
        self.tell("hit flight", landed.stamp);
        Some(answer.clone())
    }
}
