//! One `get_or`: this node's level, a flight, the shared level, the loader; and what is kept of it.

use crate::decision::{self, Freshness};
use crate::flight::{Boarded, Boarding, Landed, Leader, Waited};
use crate::key::CacheKey;
use crate::l1::{AnyValue, Begun, Entry};
use crate::lease::Held;
use crate::node::{Node, Space};
use crate::payload::{self, Answer};
use crate::shared::{Asked, Found};
use crate::space::jittered;
use onefold_core::Lsn;
use onefold_database::{Read, Reader, Session, Stamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far L1's lifetime is drawn apart.
const L1_JITTER_PERCENT: u8 = 10;

pub(crate) struct Lookup<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) session: &'a Session,
    pub(crate) space: Arc<Space>,
    pub(crate) key: CacheKey,
    level: Read,
}

/// What a session demands of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The position that it must show; zero: anything will do.
    pub(crate) token: Lsn,
    /// Whether L2 had heard of all that the session wrote before the session got its token.
    pub(crate) confirmed: bool,
}

/// What this node has to offer before anybody is asked.
struct AtHand<V> {
    /// A copy that answers at once, unless nobody else is renewing it.
    while_renewed: Option<Answer<V>>,
    /// A copy for when the load fails.
    on_error: Option<Answer<V>>,
    /// Whether the copy is fresh, and is only to be renewed before its end.
    early: bool,
}

impl<V> Default for AtHand<V> {
    fn default() -> Self {
        Self { while_renewed: None, on_error: None, early: false }
    }
}

enum Near<V> {
    Hit(Option<V>),
    Miss(AtHand<V>),
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(
        node: &'a Arc<Node>,
        session: &'a Session,
        level: Read,
        space: Arc<Space>,
        key: CacheKey,
    ) -> Self {
        Self { node, session, space, key, level }
    }

    /// The answer, by whatever way is the nearest.
    pub(crate) async fn answer<V, E, F>(&self, loader: F) -> Result<Option<V>, E>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: AsyncFnOnce(Reader) -> Result<Option<V>, E>,
    {
        let demand = self.demand().await;
        let watermark = self.node.l1.watermark();
        let at_hand = match self.look_near(demand, watermark) {
            Near::Hit(value) => return Ok(value),
            Near::Miss(at_hand) => at_hand,
        };
        let begun = self.node.l1.begin(&self.key);
        let boarding = Boarding {
            generation: begun.generation,
            least: begun.floor.max(demand.token),
            token: demand.token,
            watermark,
        };
        let leader = match self.node.flights.board(self.key.shared_text(), boarding) {
            Boarded::Leads(leader) => Some(leader),
            Boarded::Joins(joined) => {
                if let Some(Answer(value)) = at_hand.while_renewed {
                    self.tell("stale", None);
                    self.node.telemetry.hits_stale.inc();
                    return Ok(value);
                }
                match self.within_deadline(joined.wait()).await {
                    Some(Waited::Landed(landed)) => {
                        if let Some(Answer(value)) = self.take::<V>(&landed, demand) {
                            return Ok(value);
                        }
                        None
                    }
                    Some(Waited::Leads(leader)) => Some(leader),
                    None => None,
                }
            }
        };
        self.lead(leader, demand, at_hand, loader).await
    }

    async fn demand(&self) -> Demand {
        match self.level {
            Read::Any => Demand { token: Lsn::ZERO, confirmed: true },
            Read::Bounded(bound) => {
                let probed = self.node.probes.at_most(bound, &self.node.database, &self.node.clock).await;
                // Without a primary to ask, no copy is known to be fresh enough.
                Demand { token: probed.unwrap_or(Lsn(u64::MAX)), confirmed: false }
            }
            Read::Strong | Read::YourWrites => {
                Demand { token: self.session.lsn(), confirmed: self.session.is_confirmed() }
            }
        }
    }

    fn look_near<V: Clone + Send + Sync + 'static>(&self, demand: Demand, watermark: Lsn) -> Near<V> {
        let Some(entry) = self.node.l1.get(&self.key) else { return Near::Miss(AtHand::default()) };
        let Some(answer) = entry.value.downcast_ref::<Answer<V>>() else {
            return Near::Miss(AtHand::default());
        };
        let (now, policy) = (self.node.clock.now(), &self.space.policy);
        if entry.is_fresh(now) && decision::l1_serves(entry.claim(), demand.token, watermark) {
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
    fn take<V: Clone + 'static>(&self, landed: &Landed, demand: Demand) -> Option<Answer<V>> {
        let answer = landed.value.downcast_ref::<Answer<V>>()?;
        if !decision::flight_serves(landed.stamp, demand.token) {
            return None;
        }
        self.node.telemetry.hits_flight.inc();
        self.tell("hit flight", landed.stamp);
        Some(answer.clone())
    }

    async fn lead<V, E, F>(
        &self,
        leader: Option<Leader<'_>>,
        demand: Demand,
        at_hand: AtHand<V>,
        loader: F,
    ) -> Result<Option<V>, E>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: AsyncFnOnce(Reader) -> Result<Option<V>, E>,
    {
        let begun = self.node.l1.begin(&self.key);
        let (mut held, mut need, mut on_error, mut alone) = (None, Lsn::ZERO, at_hand.on_error, false);
        match self.ask_shared::<V>(demand, at_hand.early).await {
            Asked::Found(found) => return Ok(self.keep_found(leader, found, begun)),
            Asked::Leased { lease, need: needed, on_error: copy } => {
                (held, need) = (Some(lease), needed);
                on_error = on_error.or(copy);
            }
            Asked::Busy => alone = true,
            Asked::Absent => {}
        }
        let floor = begun.floor;
        let least = decision::load_least(Freshness { need, floor, token: demand.token });
        let reader = self.node.database.db(self.session.clone()).read_at_least(least);
        self.node.telemetry.misses.inc();
        let asked = self.node.clock.now();
        let loaded = loader(reader.clone()).await;
        let elapsed = self.node.clock.now().saturating_duration_since(asked);
        let value = match (loaded, on_error) {
            (Ok(value), _) => value,
            (Err(_), Some(Answer(copy))) => {
                self.node.telemetry.hits_stale.inc();
                self.tell("stale on error", None);
                return Ok(copy);
            }
            // Dropping the leader and the lease lets another try.
            (Err(error), None) => return Err(error),
        };
        self.space.loaded_in(elapsed);
        self.node.telemetry.load_seconds.observe(elapsed.as_secs_f64());
        self.tell("miss", reader.stamp());
        let answer = Arc::new(Answer(value));
        if !alone {
            self.keep_loaded(&answer, reader.stamp(), held, begun).await;
        }
        if let Some(leader) = leader {
            leader.land(Landed { value: Arc::clone(&answer) as AnyValue, stamp: reader.stamp() });
        }
        Ok(Arc::unwrap_or_clone(answer).0)
    }

    /// Stores what was loaded: in L2 under its lease, and in L1 if L2 took it or has no part in it.
    async fn keep_loaded<V: Serialize + Send + Sync + 'static>(
        &self,
        answer: &Arc<Answer<V>>,
        stamp: Option<Stamp>,
        held: Option<Held>,
        begun: Begun,
    ) {
        let telemetry = &self.node.telemetry;
        let Some(stamp) = stamp else {
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
            Some(held) => held.fill(&payload, stamp, ttl, policy.keep_stale()).await == Some(false),
            None => false,
        };
        let admitted = !refused && {
            let value = Arc::clone(answer) as AnyValue;
            // Its load read at least at the floor.
            self.node.l1.insert(&self.key, self.entry(value, bytes, stamp, true, ttl), begun)
        };
        let counter = if admitted { &telemetry.fills_accepted } else { &telemetry.fills_refused };
        counter.inc();
    }

    /// Keeps in this node what L2 gave, and hands it to all who wait.
    fn keep_found<V: Clone + Send + Sync + 'static>(
        &self,
        leader: Option<Leader<'_>>,
        found: Found<V>,
        begun: Begun,
    ) -> Option<V> {
        let Found { answer, bytes, stamp, remaining } = found;
        let answer = Arc::new(answer);
        let (telemetry, fresh) = (&self.node.telemetry, !remaining.is_zero());
        if fresh {
            let vouched = decision::watermark_vouches(stamp, begun.floor);
            let entry = self.entry(Arc::clone(&answer) as AnyValue, bytes, stamp, vouched, remaining);
            self.node.l1.insert(&self.key, entry, begun);
        }
        let (counter, outcome) =
            if fresh { (&telemetry.hits_l2, "hit l2") } else { (&telemetry.hits_stale, "stale") };
        counter.inc();
        self.tell(outcome, Some(stamp));
        if let Some(leader) = leader {
            leader.land(Landed { value: Arc::clone(&answer) as AnyValue, stamp: Some(stamp) });
        }
        Arc::unwrap_or_clone(answer).0
    }

    fn entry(&self, value: AnyValue, bytes: u64, stamp: Stamp, vouched: bool, ttl: Duration) -> Entry {
        let now = self.node.clock.now();
        let l1_ttl = jittered(self.node.config.l1_ttl, L1_JITTER_PERCENT, rand::random());
        Entry {
            value,
            payload_bytes: bytes,
            stamp,
            vouched,
            valid: true,
            fresh_until: now + ttl.min(l1_ttl),
            expires_at: now + ttl,
            keep_stale: self.space.policy.keep_stale(),
        }
    }

    /// How long this caller may wait for another.
    pub(crate) fn patience(&self, most: Duration, now: Instant) -> Duration {
        self.session.deadline().map_or(most, |deadline| deadline.remaining(now).min(most))
    }

    async fn within_deadline<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        match self.session.deadline() {
            None => Some(waiting.await),
            Some(deadline) => {
                let remaining = deadline.remaining(self.node.clock.now());
                tokio::time::timeout(remaining, waiting).await.ok()
            }
        }
    }

    /// Says in the trace how this read was answered.
    fn tell(&self, outcome: &'static str, stamp: Option<Stamp>) {
        let span = tracing::Span::current();
        span.record("cache.outcome", outcome);
        if let Some(stamp) = stamp {
            let (Stamp::Replayed(lsn) | Stamp::Flushed(lsn)) = stamp;
            span.record("cache.stamp", tracing::field::display(lsn));
        }
        tracing::trace!(cache.key = self.key.text(), cache.outcome = outcome, "cache read");
    }
}
