//! One `get_or`: this node's level, a flight, the shared level, the loader.

use crate::decision::{self, Demand, Freshness};
use crate::flight::{Boarded, Boarding, Landed, Leader, Waited};
use crate::key::CacheKey;
use crate::l1::AnyValue;
use crate::near::{AtHand, Near, StandIn};
use crate::node::{Node, Space};
use crate::payload::Answer;
use crate::shared::Asked;
use onefold_core::Lsn;
use onefold_database::{Read, Reader, Session, Stamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Lookup<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) session: &'a Session,
    pub(crate) space: Arc<Space>,
    pub(crate) key: CacheKey,
    level: Read,
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
        let at_hand = match self.look_near(demand) {
            Near::Hit(value) => return Ok(value),
            Near::Miss(at_hand) => at_hand,
        };
        let begun = self.node.l1.begin(&self.key);
        let boarding = Boarding {
            generation: begun.generation,
            least: begun.floor.max(demand.token),
            token: demand.token,
            watermark: demand.watermark,
        };
        let leader = match self.node.flights.board(self.key.shared_text(), boarding) {
            Boarded::Leads(leader) => Some(leader),
            Boarded::Joins(joined) => {
                if let Some(copy) = at_hand.while_renewed {
                    return Ok(self.stands_in(copy));
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
        let (token, unconfirmed) = match self.level {
            Read::Any => (Lsn::ZERO, Lsn::ZERO),
            Read::Bounded(bound) => {
                let probed = self.node.probes.at_most(bound, &self.node.database, &self.node.clock).await;
                // Without a primary to ask, no copy is known to be fresh enough.
                let least = probed.unwrap_or(Lsn(u64::MAX));
                (least, least)
            }
            Read::Strong | Read::YourWrites => (self.session.lsn(), self.session.unconfirmed()),
        };
        Demand { token, unconfirmed, watermark: self.node.l1.watermark() }
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
            (Err(_), Some(copy)) => return Ok(self.stands_in(copy)),
            // Dropping the leader and the lease lets another try.
            (Err(error), None) => return Err(error),
        };
        self.space.loaded_in(elapsed);
        self.node.telemetry.load_seconds.observe(elapsed.as_secs_f64());
        self.tell("miss", "load", reader.stamp());
        let (answer, evidence) = (Arc::new(Answer(value)), reader.evidence());
        if let Some(evidence) = evidence {
            self.shows(evidence.shown);
        }
        // A copy that lags for this session alone stays: a newer one would lag for all others.
        if !(alone || at_hand.lags && held.is_none()) {
            self.keep_loaded(&answer, evidence, held, begun).await;
        }
        if let Some(leader) = leader {
            let value = Arc::clone(&answer) as AnyValue;
            leader.land(Landed { value, evidence, vouched: true });
        }
        Ok(Arc::unwrap_or_clone(answer).0)
    }

    /// Answers with a copy in the place of the value.
    fn stands_in<V>(&self, copy: StandIn<V>) -> Option<V> {
        self.node.telemetry.hits_stale.inc();
        self.tell("stale", "l1", None);
        self.shows(copy.shown);
        copy.answer.0
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
    pub(crate) fn tell(&self, result: &'static str, level: &'static str, stamp: Option<Stamp>) {
        let span = tracing::Span::current();
        span.record("onefold.cache.result", result);
        span.record("onefold.cache.level", level);
        if let Some(stamp) = stamp {
            let (Stamp::Replayed(lsn) | Stamp::Flushed(lsn)) = stamp;
            span.record("onefold.cache.stamp", tracing::field::display(lsn));
        }
        tracing::trace!(
            cache.key = self.key.text(),
            onefold.cache.result = result,
            onefold.cache.level = level,
            "cache read"
        );
    }
}
