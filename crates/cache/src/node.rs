//! What one node's cache consists of.

use crate::config::Config;
use crate::flight::Flights;
use crate::key::CacheKey;
use crate::l1::L1;
use crate::l2::Guarded;
use crate::probe::Probes;
use crate::shape::shape_of;
use crate::space::{Cached, Policy};
use crate::telemetry::Telemetry;
use onefold_core::{Boot, Clock, Lsn, TaskGroup};
use onefold_database::Database;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How often the tail is hurried on at most. Each look asks the primary twice.
const HURRY_EVERY: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) l1: L1,
    pub(crate) l2: Option<Guarded>,
    /// Whether the tail stands, so that the watermark follows the log.
    pub(crate) tail_in_step: AtomicBool,
    pub(crate) flights: Flights,
    pub(crate) probes: Probes,
    /// When the tail was last hurried on.
    pub(crate) hurried: Mutex<Option<Instant>>,
    pub(crate) spaces: Spaces,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskGroup,
    /// By which this node knows its own messages on the bus.
    pub(crate) boot: Boot,
}

impl Node {
    /// Has an invalidation take force: in L2, then in this node, then, by a hint, in all others. Answers whether L2
    /// has it.
    ///
    /// L2 comes first: the other way round, a reader could carry the old value out of L2 into an L1 that has heard of
    /// the invalidation already.
    pub(crate) async fn invalidate(&self, key: &CacheKey, at: Lsn) -> bool {
        let keys = std::slice::from_ref(key);
        let missed = self.invalidate_shared(keys, at).await;
        self.invalidate_near(keys, at);
        missed.is_empty()
    }

    /// Invalidates in L2; answers with the keys of which it may not have heard.
    pub(crate) async fn invalidate_shared(&self, keys: &[CacheKey], at: Lsn) -> Vec<CacheKey> {
        match &self.l2 {
            None => Vec::new(),
            Some(l2) => l2.invalidate(keys, at).await.unwrap_or_else(|_| keys.to_vec()),
        }
    }

    /// Invalidates in this node and, by a hint, in all others.
    pub(crate) fn invalidate_near(&self, keys: &[CacheKey], at: Lsn) {
        for key in keys {
            self.l1.hear(key, at);
        }
        crate::bus::tell(self, keys, at);
        self.database.look();
    }

    /// Has the tail look now, since a session waits for the watermark.
    pub(crate) fn hurry(&self) {
        let now = self.clock.now();
        // Whoever finds it locked finds it hurried on, too.
        let Ok(mut hurried) = self.hurried.try_lock() else { return };
        if hurried.is_none_or(|last| now.saturating_duration_since(last) >= HURRY_EVERY) {
            *hurried = Some(now);
            self.database.look();
        }
    }
}

/// The key spaces that this node has met.
#[derive(Debug, Default)]
pub(crate) struct Spaces(RwLock<HashMap<(&'static str, TypeId), Arc<Space>>>);

/// What a node knows of a key space.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) policy: Policy,
    pub(crate) shape: u64,
    /// Average duration of its loads; zero before the first.
    load_micros: AtomicU64,
}

impl Spaces {
    pub(crate) fn of<K: ?Sized, V: DeserializeOwned + 'static>(&self, cached: &Cached<K, V>) -> Arc<Space> {
        let id = (cached.name(), TypeId::of::<V>());
        if let Some(space) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Arc::clone(space);
        }
        let policy = *cached.policy();
        let shape = shape_of::<V>(policy.version);
        let mut spaces = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let space = || Arc::new(Space { policy, shape, load_micros: AtomicU64::new(0) });
        Arc::clone(spaces.entry(id).or_insert_with(space))
    }
}

impl Space {
    /// Notes how long a load took. A lost update between two is one sample less.
    pub(crate) fn loaded_in(&self, elapsed: Duration) {
        /// The weight of the past: about the last eight loads count.
        const PAST: u64 = 7;
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX / 16).max(1);
        let before = self.load_micros.load(Ordering::Relaxed);
        let after = if before == 0 { micros } else { (before * PAST + micros) / (PAST + 1) };
        self.load_micros.store(after, Ordering::Relaxed);
    }

    /// How long its loads take; zero before the first.
    pub(crate) fn load_time(&self) -> Duration {
        Duration::from_micros(self.load_micros.load(Ordering::Relaxed))
    }

    /// Whether its entries are dear enough for L2.
    pub(crate) fn is_dear(&self, dear_after: Duration) -> bool {
        self.policy.dear || self.load_time() > dear_after
    }
}
