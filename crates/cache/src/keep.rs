//! What is kept of an answer: in L2 under its lease, in this node under its generation.

use crate::decision;
use crate::flight::{Landed, Leader};
use crate::l1::{AnyValue, Begun, Entry};
use crate::lease::Held;
use crate::lookup::Lookup;
use crate::payload::{self, Answer};
use crate::shared::Found;
use crate::space::jittered;
use onefold_database::Evidence;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How far L1's lifetimes are drawn apart.
const L1_JITTER_PERCENT: u8 = 10;

impl Lookup<'_> {
    /// Stores what was loaded: in L2 under its lease, and in L1 if L2 took it or has no part in it.
    pub(crate) async fn keep_loaded<V: Serialize + Send + Sync + 'static>(
        &self,
        answer: &Arc<Answer<V>>,
        evidence: Option<Evidence>,
        held: Option<Held>,
        begun: Begun,
    ) {
        let telemetry = &self.node.telemetry;
        let Some(evidence) = evidence else {
            telemetry.fills_unstamped.inc();
            return;
        };
        let policy = &self.space.policy;
        let ttl = jittered(policy.ttl_of(answer.0.is_none()), policy.jitter_percent, rand::random());
        if ttl.is_zero() {
            return;
        }
        let payload = match payload::encode(self.space.shape, answer.0.as_ref()) {
            Ok(payload) => payload,
            Err(error) => {
                return tracing::warn!(cache.name = policy.name, %error, "a value cannot be written as JSON, and is not cached");
            }
        };
        let bytes = payload.len() as u64;
        let refused = match held {
            Some(held) => held.fill(&payload, evidence, ttl, policy.keep_stale()).await == Some(false),
            None => false,
        };
        let admitted = !refused && {
            // Its load read at least at the floor.
            let vouched = true;
            let entry = Entry { vouched, ..self.entry(answer, bytes, evidence, ttl) };
            self.node.l1.insert(&self.key, entry, begun)
        };
        let counter = if admitted { &telemetry.fills_accepted } else { &telemetry.fills_refused };
        counter.inc();
    }

    /// Keeps in this node what L2 gave, and hands it to all who wait.
    pub(crate) fn keep_found<V: Clone + Send + Sync + 'static>(
        &self,
        leader: Option<Leader<'_>>,
        found: Found<V>,
        begun: Begun,
    ) -> Option<V> {
        let Found { answer, bytes, evidence, remaining } = found;
        let answer = Arc::new(answer);
        let (telemetry, fresh) = (&self.node.telemetry, !remaining.is_zero());
        let vouched = decision::watermark_vouches(evidence.stamp, begun.floor);
        if fresh {
            let entry = Entry { vouched, ..self.entry(&answer, bytes, evidence, remaining) };
            self.node.l1.insert(&self.key, entry, begun);
        }
        let (counter, result) = match (fresh, &answer.0) {
            (true, Some(_)) => (&telemetry.hits_l2, "hit"),
            (true, None) => (&telemetry.hits_l2, "negative"),
            (false, _) => (&telemetry.hits_stale, "stale"),
        };
        counter.inc();
        self.tell(result, "l2", Some(evidence.stamp));
        self.shows(evidence.shown);
        if let Some(leader) = leader {
            let value = Arc::clone(&answer) as AnyValue;
            leader.land(Landed { value, evidence: Some(evidence), vouched: vouched && fresh });
        }
        Arc::unwrap_or_clone(answer).0
    }

    /// An entry for which the watermark may not speak yet.
    fn entry<V: Send + Sync + 'static>(
        &self,
        answer: &Arc<Answer<V>>,
        bytes: u64,
        evidence: Evidence,
        ttl: Duration,
    ) -> Entry {
        let now = self.node.clock.now();
        let l1_ttl = jittered(self.node.config.l1_ttl, L1_JITTER_PERCENT, rand::random());
        Entry {
            value: Arc::clone(answer) as AnyValue,
            payload_bytes: bytes,
            evidence,
            vouched: false,
            negative: answer.0.is_none(),
            valid: true,
            fresh_until: now + ttl.min(l1_ttl),
            expires_at: now + ttl,
            keep_stale: self.space.policy.keep_stale(),
        }
    }
}
