//! The one watcher of a process: it follows the store and hands each snapshot on.
//!
//! A reconciler: it reads from the position it has, woken by a hint or by the poll, and lists where the changes in
//! between are not to be had. While the service is away the last good snapshot stays in force.

use crate::config::Config;
use crate::disk::Disk;
use crate::election::pause_after;
use crate::error::Error;
use crate::metrics::Meters;
use crate::snapshot::{Next, Snapshot};
use crate::store::Store;
use crate::wakes::Wakes;
use arc_swap::ArcSwap;
use onefold_core::{Clock, TaskGroup};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// What is derived from the snapshot, before anybody sees it.
pub(crate) trait Projection: Send + Sync {
    /// Derives anew. Must not block: all projections follow each other.
    fn apply(&self, snapshot: &Snapshot);
}

/// The snapshot in force.
#[derive(Debug)]
pub(crate) struct Watched {
    snapshot: ArcSwap<Snapshot>,
    changes: watch::Sender<Arc<Snapshot>>,
}

impl Watched {
    pub(crate) fn new() -> Arc<Self> {
        let empty = Arc::new(Snapshot::default());
        Arc::new(Self { snapshot: ArcSwap::new(empty.clone()), changes: watch::channel(empty).0 })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.changes.subscribe()
    }
}

/// Follows the store.
pub(crate) struct Watcher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) projections: Vec<Arc<dyn Projection>>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) disk: Option<Disk>,
    pub(crate) poll: Duration,
    pub(crate) meters: Meters,
    pub(crate) clock: Clock,
    current: Current,
}

/// What the watcher remembers.
#[derive(Debug)]
enum Current {
    /// Nothing has been read from the store yet; what is in force, if anything, was saved at that time.
    Unread(Option<SystemTime>),
    /// The snapshot was the newest at that time.
    Read(Instant),
}

impl Watcher {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        config: &Config,
        projections: Vec<Arc<dyn Projection>>,
        meters: Meters,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            watched: Watched::new(),
            projections,
            wakes: Wakes::new(),
            disk: config.snapshot.clone().map(Disk::new),
            poll: config.poll,
            meters,
            clock,
            current: Current::Unread(None),
        }
    }

    /// Reads once, so that the node starts with what is in force; falls back to the disk. Then follows until the
    /// node stops.
    pub(crate) async fn start(mut self, tasks: &TaskGroup) {
        if let Err(error) = self.read().await {
            if let Some((snapshot, saved)) = self.load_from_disk().await {
                self.publish(snapshot);
                self.current = Current::Unread(Some(saved));
            }
            self.away(&error);
        }
        let stopping = tasks.stopping();
        tasks.spawn("coordination.watch", async move {
            let _ = stopping.run_until_cancelled(self.follow()).await;
        });
    }

    async fn follow(&mut self) {
        let mut failures = 0;
        loop {
            let pause = match self.read().await {
                Ok(true) => continue,
                Ok(false) => {
                    failures = 0;
                    self.poll
                }
                Err(error) => {
                    self.away(&error);
                    failures += 1;
                    pause_after(failures, rand::random())
                }
            };
            drop(tokio::time::timeout(pause, self.wakes.wait_for_change()).await);
        }
    }

    /// Reads what is new; answers whether there is more.
    async fn read(&mut self) -> Result<bool, Error> {
        let Current::Read(_) = self.current else { return self.list().await };
        let snapshot = self.watched.snapshot();
        let changes = self.store.changes("", snapshot.position()).await?;
        match snapshot.next(changes) {
            Next::Keep => {
                self.read_at_last(0);
                Ok(false)
            }
            Next::Advance { snapshot, behind } => {
                self.publish(snapshot);
                self.save().await;
                self.read_at_last(behind);
                Ok(behind > 0)
            }
            Next::List => self.list().await,
        }
    }

    async fn list(&mut self) -> Result<bool, Error> {
        let listing = self.store.list("").await?;
        self.meters.relisted.inc();
        self.publish(listing.into());
        self.save().await;
        self.read_at_last(0);
        Ok(false)
    }

    fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        for projection in &self.projections {
            projection.apply(&snapshot);
        }
        self.meters.revision.set(float(snapshot.position().revision));
        self.watched.snapshot.store(snapshot.clone());
        self.watched.changes.send_replace(snapshot);
    }

    fn read_at_last(&mut self, behind: i64) {
        if self.meters.away.get() > 0.0 {
            tracing::info!("the configuration service is back");
        }
        self.current = Current::Read(self.clock.now());
        self.meters.away.set(0.0);
        self.meters.snapshot_age.set(0.0);
        self.meters.behind.set(float(behind));
    }

    fn away(&self, error: &Error) {
        if self.meters.away.get() == 0.0 {
            tracing::warn!(%error, "the configuration service is away: the last snapshot stays in force");
        }
        self.meters.away.set(1.0);
        let age = match self.current {
            Current::Read(at) => self.clock.now() - at,
            Current::Unread(Some(saved)) => self.clock.wall().duration_since(saved).unwrap_or_default(),
            Current::Unread(None) => return,
        };
        self.meters.snapshot_age.set(age.as_secs_f64());
    }

    async fn load_from_disk(&self) -> Option<(Snapshot, SystemTime)> {
        let disk = self.disk.as_ref()?;
        let (snapshot, saved) = disk.load().await?;
        tracing::info!(path = %disk.path().display(), revision = snapshot.position().revision, "starts from the snapshot on disk");
        Some((snapshot, saved))
    }

    async fn save(&self) {
        let Some(disk) = &self.disk else { return };
        if let Err(error) = disk.save(&self.watched.snapshot(), self.clock.wall()).await {
            tracing::warn!(path = %disk.path().display(), %error, "save the snapshot");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn float(revision: i64) -> f64 {
    revision as f64
}
