//! The cache of one node, as the rest of the node uses it.

use crate::bus;
use crate::config::Config;
use crate::dispatcher;
use crate::engine;
use crate::flight::Flights;
use crate::invalidation::Invalidation;
use crate::key::{CacheKey, Key};
use crate::l1::L1;
use crate::l2::{Guarded, L2};
use crate::lookup::Lookup;
use crate::node::{Node, Spaces};
use crate::probe::Probes;
use crate::space::Cached;
use crate::telemetry::Telemetry;
use crate::watermark;
use onefold_core::metrics::Metrics;
use onefold_core::topology::Faults;
use onefold_core::{Boot, Clock, TaskGroup};
use onefold_database::{Database, Read, Reader, Session};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tracing::Instrument as _;

/// One node's cache over one database. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Node>);

impl Cache {
    /// Starts the cache with the engine that the configuration names. Until its bus and tail stand, within
    /// milliseconds, reads load.
    ///
    /// # Errors
    /// All faults of the configuration.
    pub fn start(
        config: &Config,
        database: &Database,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Self, Faults> {
        config.validate()?;
        let engine = engine::start(config, database, tasks)?;
        Self::with_engine(config, engine, database, tasks, metrics, clock)
    }

    /// Starts the cache with a shared level of one's own, or with none.
    ///
    /// # Errors
    /// As [`Cache::start`].
    pub fn with_engine(
        config: &Config,
        engine: Option<Arc<dyn L2>>,
        database: &Database,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Self, Faults> {
        config.validate()?;
        let telemetry = Arc::new(Telemetry::new(metrics));
        let guarded = |engine| Guarded::new(engine, config.l2_timeout, clock.clone(), Arc::clone(&telemetry));
        let node = Arc::new(Node {
            config: config.clone(),
            database: database.clone(),
            l1: L1::new(config.l1_bytes),
            l2: engine.map(guarded),
            tail_in_step: AtomicBool::new(false),
            flights: Flights::default(),
            probes: Probes::default(),
            hurried: Mutex::default(),
            spaces: Spaces::default(),
            telemetry,
            clock,
            tasks: tasks.clone(),
            boot: Boot::new(),
        });
        run(tasks, "cache-bus", bus::listen(Arc::clone(&node)));
        run(tasks, "cache-watermark", watermark::follow(Arc::clone(&node)));
        run(tasks, "cache-dispatcher", dispatcher::dispatch(Arc::clone(&node)));
        run(tasks, "cache-sweeper", dispatcher::sweep(Arc::clone(&node)));
        Ok(Self(node))
    }

    /// The entry of `key`, or what `loader` makes of the database if there is none that may serve this session.
    ///
    /// `None` says that there is no such thing, and is remembered too. The loader is handed a reader that sees at
    /// least what the entry and the session need, and that notes what it has seen; what it did not read through
    /// it, it must not return, and if it read nothing through it, nothing is stored. Of many callers who miss the
    /// same entry one loads. The session's level decides what may serve it:
    ///
    /// - `Strong` never reads a cache;
    /// - `YourWrites` gets nothing older than what the session has written or been shown;
    /// - `Bounded` gets nothing that was changed longer ago than that;
    /// - `Any` gets whatever is there.
    ///
    /// A cache that does not work is a miss, never an error.
    ///
    /// # Errors
    /// The loader's, if it was this caller's that ran. It is not remembered.
    ///
    /// # Cancel safety
    /// A dropped call stores nothing; one of those who wait for it loads instead.
    pub async fn get_or<K, V, E, F>(
        &self,
        session: &Session,
        cached: &Cached<K, V>,
        key: &K,
        loader: F,
    ) -> Result<Option<V>, E>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: AsyncFnOnce(Reader) -> Result<Option<V>, E>,
    {
        let level = session.level().unwrap_or_default();
        let span = tracing::info_span!(
            "cache.get",
            otel.kind = "internal",
            onefold.cache.name = cached.name(),
            onefold.cache.result = tracing::field::Empty,
            onefold.cache.level = tracing::field::Empty,
            onefold.cache.stamp = tracing::field::Empty,
            onefold.consistency.asked = %level,
        );
        if level == Read::Strong {
            self.0.telemetry.bypasses.inc();
            span.record("onefold.cache.result", "bypass");
            let reader = self.0.database.db(session.clone()).read(Read::Strong);
            return loader(reader).instrument(span).await;
        }
        let space = self.0.spaces.of(cached);
        let lookup = Lookup::new(&self.0, session, level, space, cached.key(key));
        let asked = self.0.clock.now();
        let answered = lookup.answer(loader).instrument(span).await;
        let took = self.0.clock.now().saturating_duration_since(asked);
        self.0.telemetry.get_seconds.observe(took.as_secs_f64());
        answered
    }

    /// The effect that drops an entry in the whole system when the transaction that it is attached to commits.
    pub fn invalidation<K: Key + ?Sized, V>(&self, cached: &Cached<K, V>, key: &K) -> Invalidation {
        self.invalidation_of(cached.key(key))
    }

    /// As [`Cache::invalidation`], by the system-wide key.
    pub fn invalidation_of(&self, key: CacheKey) -> Invalidation {
        Invalidation::new(self.clone(), key)
    }

    /// Whether this node's own level serves and nothing is about to empty it: its bus and its tail stand.
    pub fn is_in_step(&self) -> bool {
        self.0.l1.is_open() && self.0.tail_in_step.load(Ordering::Acquire)
    }

    /// How many invalidations this node has heard of in the bucket of a key.
    #[cfg(feature = "testing")]
    pub fn generation_of(&self, key: &CacheKey) -> u64 {
        self.0.l1.begin(key).generation.0
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0
    }
}

fn run(tasks: &TaskGroup, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let stopping = tasks.stopping();
    tasks.spawn(name, async move {
        stopping.run_until_cancelled(task).await;
    });
}
