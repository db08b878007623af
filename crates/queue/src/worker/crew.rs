//! What a worker has for its whole life, however many leases it goes through.

use crate::JobId;
use crate::config::WorkerConfig;
use crate::kind::{Handler, Kinds, Policy};
use crate::metrics::Worked;
use crate::store::{Signal, Store};
use crate::wake::Wakes;
use futures_util::StreamExt as _;
use onefold_core::{Clock, NodeName, Zone};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Who a worker is and what it works with.
pub(super) struct Crew {
    pub(super) store: Arc<dyn Store>,
    pub(super) config: WorkerConfig,
    pub(super) node: NodeName,
    pub(super) zone: Zone,
    pub(super) build: String,
    pub(super) clock: Clock,
    /// Rings when a queue of this worker may have jobs.
    pub(super) bell: Arc<Notify>,
    pub(super) wakes: Wakes,
    pub(super) versions: Vec<(String, u32)>,
    kinds: HashMap<String, Arc<KnownKind>>,
    hearing: AtomicBool,
    running: Mutex<HashMap<JobId, CancellationToken>>,
}

/// A kind that this build can run.
pub(super) struct KnownKind {
    pub(super) policy: Policy,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) worked: Worked,
}

impl std::fmt::Debug for KnownKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownKind").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Crew {
    pub(super) fn new(store: Arc<dyn Store>, kinds: &Kinds, wakes: Wakes, start: super::Start<'_>) -> Self {
        let known = |kind: &str, version| {
            let known = kinds.runnable(kind, version)?;
            let worked = Worked::new(kind, start.metrics);
            Some(Arc::new(KnownKind { policy: known.policy, handler: Arc::clone(&known.handler), worked }))
        };
        let versions = kinds.versions();
        let kinds =
            versions.iter().filter_map(|(kind, version)| Some((kind.clone(), known(kind, *version)?)));
        Self {
            store,
            kinds: kinds.collect(),
            bell: wakes.subscribe(&start.config.queues),
            config: start.config,
            node: start.node,
            zone: start.zone,
            build: start.build,
            clock: start.clock,
            wakes,
            versions,
            hearing: AtomicBool::new(false),
            running: Mutex::default(),
        }
    }

    /// How this build runs a job, if it can.
    pub(super) fn known(&self, kind: &str, version: u32) -> Option<&Arc<KnownKind>> {
        self.kinds.get(kind).filter(|known| version <= known.policy.version)
    }

    /// Whether hints of other nodes arrive.
    pub(super) fn is_hearing(&self) -> bool {
        self.hearing.load(Ordering::Relaxed)
    }

    /// Acts on what the engine signals, until it signals no more.
    pub(super) async fn listen(&self) {
        let mut signals = self.store.signals();
        while let Some(signal) = signals.next().await {
            match signal {
                Signal::Ready(queue) => self.wakes.wake(&queue),
                Signal::Cancel(job) => self.cancel(job),
                Signal::Hearing => {
                    self.hearing.store(true, Ordering::Relaxed);
                    // What was sent before is not known.
                    self.bell.notify_one();
                }
                Signal::Deaf => {
                    self.hearing.store(false, Ordering::Relaxed);
                    self.bell.notify_one();
                }
            }
        }
        self.hearing.store(false, Ordering::Relaxed);
    }

    /// Cancels the handler of a job, if it runs here.
    pub(super) fn cancel(&self, job: JobId) {
        if let Some(token) = self.running().get(&job) {
            token.cancel();
        }
    }

    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
