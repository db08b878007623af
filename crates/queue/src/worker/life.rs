//! One lease of a worker: from its registration to its loss or to the worker's stop.

use super::appetite::{Load, appetite};
use super::crew::{Crew, KnownKind};
use super::pace::Pace;
use super::ready::Ready;
use super::{fetching, lease, settling, slot};
use crate::delivery::Fetched;
use crate::store::{End, Execution, Settlement, WorkerId};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a fetch that was under way may still take when the worker stops. What it brings later belongs to
/// the worker's row, and goes back with it.
const LAST_FETCH_MAX: Duration = Duration::from_secs(2);

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The worker was told to stop; it has given everything back.
    Stopped,
    /// The lease is lost: nothing that was held is its own.
    Lost,
}

/// What the tasks of one lease share.
pub(super) struct Life {
    pub(super) crew: Arc<Crew>,
    pub(super) id: WorkerId,
    pub(super) registered: Instant,
    pub(super) ready: Ready,
    pub(super) running: AtomicUsize,
    pub(super) pace: Pace,
    /// Rings when a slot or the prefetch has room.
    pub(super) room: Notify,
    /// Cancelled when a stop's grace is over.
    pub(super) interrupt: CancellationToken,
    /// When the next job that this worker put back is due.
    soonest: Mutex<Option<Instant>>,
}

/// An attempt that has ended, on its way to the engine.
pub(super) struct Report {
    pub(super) settlement: Settlement,
    pub(super) kind: Option<Arc<KnownKind>>,
}

impl Report {
    pub(super) fn new(job: &Fetched, kind: Option<&Arc<KnownKind>>, end: End) -> Self {
        let execution = Execution { id: job.id, run: job.run };
        Self { settlement: Settlement { execution, end }, kind: kind.cloned() }
    }
}

impl Life {
    /// `registered` is a moment before the registration was sent.
    pub(super) fn new(crew: Arc<Crew>, id: WorkerId, registered: Instant) -> Self {
        Self {
            crew,
            id,
            registered,
            ready: Ready::new(),
            running: AtomicUsize::new(0),
            pace: Pace::new(),
            room: Notify::new(),
            interrupt: CancellationToken::new(),
            soonest: Mutex::new(None),
        }
    }

    /// Works until the stop or the loss of the lease.
    pub(super) async fn run(self: Arc<Self>, stopping: &CancellationToken) -> Ended {
        let config = &self.crew.config;
        // Two batches: one is settled while the next comes together. A slot waits when it is full.
        let (reports, received) = mpsc::channel(config.batch_jobs_max * 2);
        // Not the node's task group: these tasks must end with the lease, whatever they are at.
        let (mut slots, mut settling) = (JoinSet::new(), JoinSet::new());
        for _ in 0..config.concurrency {
            slots.spawn(slot::work(Arc::clone(&self), reports.clone()));
        }
        settling.spawn(settling::settle(Arc::clone(&self), received));
        let ended = tokio::select! {
            () = lease::keep(&self) => Ended::Lost,
            () = lease::take_up(&self) => Ended::Lost,
            () = async {
                fetching::fetch(&self, &reports, stopping, LAST_FETCH_MAX).await;
                self.wind_down(reports, &mut slots, &mut settling).await;
            } => Ended::Stopped,
        };
        drop((slots, settling));
        self.crew.running().clear();
        ended
    }

    /// Gives back what was only prefetched, lets handlers end within the grace, then cancels them and gives
    /// their jobs back too.
    async fn wind_down(
        &self,
        reports: mpsc::Sender<Report>,
        slots: &mut JoinSet<()>,
        settling: &mut JoinSet<()>,
    ) {
        let prefetched = self.ready.close();
        tracing::info!(
            prefetched = prefetched.len(),
            running = self.running.load(Ordering::Relaxed),
            "worker stops: gives back what it only prefetched, waits for what runs"
        );
        for waiting in &prefetched {
            // The settling task ends with this channel, not before.
            let _ = reports.send(Report::new(&waiting.job, Some(&waiting.kind), End::Release)).await;
        }
        drop(reports);
        if tokio::time::timeout(self.crew.config.grace, join_all(slots)).await.is_err() {
            self.interrupt.cancel();
            join_all(slots).await;
        }
        join_all(settling).await;
        if let Err(error) = self.crew.store.resign(self.id).await {
            tracing::warn!("worker's row is left to the rescue: {error}");
        }
    }

    /// How many jobs to fetch now.
    pub(super) fn appetite(&self) -> usize {
        self.appetite_beside(0)
    }

    /// The same, while jobs have arrived that do not wait here yet.
    pub(super) fn appetite_beside(&self, arrived: usize) -> usize {
        let load = Load {
            slots: self.crew.config.concurrency,
            running: self.running.load(Ordering::Relaxed),
            waiting: self.ready.len() + arrived,
            mean_run: self.pace.mean(),
        };
        appetite(load, self.crew.config.batch_jobs_max)
    }

    /// Notes that a job which was put back is due after `delay`.
    pub(super) fn due_after(&self, delay: Duration) {
        let due = self.crew.clock.now() + delay;
        let mut soonest = self.soonest.lock().unwrap_or_else(PoisonError::into_inner);
        if soonest.is_none_or(|soonest| due < soonest) {
            *soonest = Some(due);
            self.crew.bell.notify_one();
        }
    }

    /// When the next job that was put back is due; asked once for each.
    pub(super) fn take_soonest(&self) -> Option<Duration> {
        let soonest = self.soonest.lock().unwrap_or_else(PoisonError::into_inner).take();
        soonest.map(|due| due.saturating_duration_since(self.crew.clock.now()))
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}
