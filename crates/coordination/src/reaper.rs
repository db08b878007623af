//! Housekeeping that any node may do: members whose lease has ended, and changes that nobody needs any more.

use crate::config::Config;
use crate::continuity::Continuity;
use crate::members::LEASES;
use crate::store::Store;
use crate::watcher::Watched;
use onefold_core::{Clock, TaskGroup};
use rand::RngExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ends what has ended. Every node runs one; the engine makes it harmless that they are several.
pub(crate) struct Reaper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
}

impl Reaper {
    pub(crate) fn start(self, tasks: &TaskGroup) {
        let stopping = tasks.stopping();
        tasks.spawn("coordination.reap", async move {
            let _ = stopping.run_until_cancelled(self.run()).await;
        });
    }

    async fn run(&self) {
        let mut continuity = Continuity::new(self.config.member_ttl);
        let mut compacted = Compacted { revision: 0, at: self.clock.now() };
        loop {
            let pause = self.config.poll.mul_f64(rand::rng().random_range(0.8..1.2));
            tokio::time::sleep(pause).await;
            // A question first: a break is seen in its answer before anybody is judged.
            if self.store.reports(LEASES).await.is_err() || !continuity.answered(self.clock.now()) {
                continue;
            }
            match self.store.reap(LEASES).await {
                Ok(0) => {}
                Ok(ended) => tracing::info!(ended, "memberships ended"),
                Err(error) => tracing::debug!(%error, "end memberships"),
            }
            self.compact(&mut compacted).await;
        }
    }

    /// Forgets in large steps: a step is as many revisions as are kept, or a while.
    async fn compact(&self, last: &mut Compacted) {
        let kept = i64::from(self.config.revisions);
        let (newest, now) = (self.watched.snapshot().position().revision, self.clock.now());
        if newest - last.revision < 2 * kept && now - last.at < COMPACT_EVERY {
            return;
        }
        let revision = (newest - kept).max(0);
        match self.store.compact(revision, self.config.history).await {
            Ok(()) => *last = Compacted { revision, at: now },
            Err(error) => tracing::debug!(%error, "compact"),
        }
    }
}

/// When this node compacted last, and to where.
struct Compacted {
    revision: i64,
    at: Instant,
}

/// Leases end without a revision, so they are tidied away by time too.
const COMPACT_EVERY: Duration = Duration::from_mins(10);
