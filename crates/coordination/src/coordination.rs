//! The configuration service as a node uses it: everything wired to one engine.

use crate::config::Config;
use crate::election::{self, Candidate, Leader, Leadership};
use crate::engine;
use crate::error::Error;
use crate::flags::{Compiled, Flags};
use crate::lock::Locks;
use crate::members::{MemberList, Roster};
use crate::metrics::Meters;
use crate::postgres::Postgres;
use crate::reaper::Reaper;
use crate::settings::{Registry, Settings};
use crate::snapshot::Snapshot;
use crate::store::{Report, Store};
use crate::tenure::Holding;
use crate::timed::Timed;
use crate::watcher::Watcher;
use onefold_core::metrics::Metrics;
use onefold_core::topology::Faults;
use onefold_core::{Clock, NodeName, TaskGroup};
use onefold_database::Database;
use std::sync::Arc;
use tokio::sync::watch;

/// The configuration service. Cloning is cheap.
#[derive(Clone)]
pub struct Coordination {
    config: Arc<Config>,
    members: MemberList,
    locks: Locks,
    flags: Flags,
    settings: Settings,
}

/// What the service needs of its node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name: what it holds is held under it.
    pub name: NodeName,
    /// Where its background tasks live.
    pub tasks: TaskGroup,
    /// Where it shows what it does.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
}

impl Coordination {
    /// The service on Postgres, for a node: reads what is in force, or the snapshot on disk while the service is
    /// away, and then follows. Never fails: a node boots without it.
    pub async fn postgres(database: &Database, config: &Config, node: &Node) -> Self {
        Self::start(
            Arc::new(Postgres::new(database.clone(), config.timeout, node.tasks.clone())),
            config,
            node,
        )
        .await
    }

    /// The service on the engine that the configuration names. Never waits for it longer than a call may take: a node
    /// boots without it.
    ///
    /// # Errors
    /// Where the engine's configuration cannot be used.
    pub async fn connect(database: &Database, config: &Config, node: &Node) -> Result<Self, Faults> {
        Ok(Self::start(engine::open(database, config, node)?, config, node).await)
    }

    /// The same on any engine.
    pub async fn start(store: Arc<dyn Store>, config: &Config, node: &Node) -> Self {
        let (coordination, watcher) = Self::build(store, config, node);
        watcher.wakes.start(&*watcher.store, &node.tasks);
        let reaper = Reaper {
            store: watcher.store.clone(),
            watched: watcher.watched.clone(),
            config: config.clone(),
            clock: node.clock.clone(),
        };
        watcher.start(&node.tasks).await;
        reaper.start(&node.tasks);
        coordination
    }

    /// The service for one command of the command line: it watches nothing, so flags and settings answer
    /// [`Flags::get`] and [`Settings::get`] with the code's defaults; what asks the store works.
    ///
    /// # Errors
    /// As [`Coordination::connect`].
    pub fn command(database: &Database, config: &Config, node: &Node) -> Result<Self, Faults> {
        Ok(Self::build(engine::open(database, config, node)?, config, node).0)
    }

    fn build(store: Arc<dyn Store>, config: &Config, node: &Node) -> (Self, Watcher) {
        let meters = Meters::new(&node.metrics);
        let store: Arc<dyn Store> =
            Arc::new(Timed { store, meters: meters.clone(), clock: node.clock.clone() });
        let roster = Arc::new(Roster::new(meters.clone()));
        let compiled = Arc::new(Compiled::new(meters.clone(), node.metrics.clone()));
        let registry = Arc::new(Registry::default());
        let watcher = Watcher::new(
            store.clone(),
            config,
            vec![roster.clone(), compiled.clone(), registry.clone()],
            meters.clone(),
            node.clock.clone(),
        );
        let (watched, wakes) = (watcher.watched.clone(), watcher.wakes.clone());
        let clock = node.clock.clone();
        let holding = Holding {
            store: store.clone(),
            tasks: node.tasks.clone(),
            meters,
            clock: clock.clone(),
            draw: rand::random,
        };
        let coordination = Self {
            config: Arc::new(config.clone()),
            members: MemberList {
                holding: holding.clone(),
                watched: watched.clone(),
                roster,
                ttl: config.member_ttl,
            },
            locks: Locks { holding, wakes: wakes.clone(), node: node.name.clone() },
            flags: Flags { store: store.clone(), compiled, wakes: wakes.clone(), clock },
            settings: Settings { store, watched, registry, wakes },
        };
        (coordination, watcher)
    }

    /// Who is there.
    pub fn members(&self) -> &MemberList {
        &self.members
    }

    /// Stands for election under a name, until every receiver is dropped or the node stops.
    pub fn elect(&self, name: &str, node: &NodeName) -> watch::Receiver<Leadership> {
        let Locks { holding, wakes, .. } = self.locks.clone();
        Candidate { holding, wakes, name: name.to_owned(), node: node.clone(), ttl: self.config.leader_ttl }
            .stand()
    }

    /// Who leads what.
    ///
    /// # Errors
    /// Where the engine cannot be asked.
    pub async fn leaders(&self) -> Result<Vec<Leader>, Error> {
        let seats = self.settings.store.reports(election::PREFIX).await?;
        let leader = |seat: Report| {
            Some(Leader { election: seat.name.strip_prefix(election::PREFIX)?.to_owned(), node: seat.holder })
        };
        Ok(seats.into_iter().filter_map(leader).collect())
    }

    /// The locks of the system.
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// The flags of the system.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// The settings of the system.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Everything the store holds, now and after each change.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.settings.watched.subscribe()
    }

    /// The engine underneath.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.settings.store
    }
}

impl std::fmt::Debug for Coordination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordination").field("config", &self.config).finish_non_exhaustive()
    }
}
