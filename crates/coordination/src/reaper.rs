//! Housekeeping that any node may do: members whose lease has ended, and changes that nobody needs any more.

use crate::config::Config;
use crate::continuity::Continuity;
use crate::members::LEASES;
use crate::store::Store;
use crate::watcher::Watched;
use onefold_core::{Clock, TaskGroup};
use rand::RngExt as _;
use std::sync::Arc;

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
        let mut compacted = 0;
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
            compacted = self.compact(compacted).await;
        }
    }

    /// Forgets in large steps: a step is as long as what is kept.
    async fn compact(&self, compacted: i64) -> i64 {
        let kept = i64::from(self.config.revisions);
        let newest = self.watched.snapshot().position().revision;
        if newest - compacted < 2 * kept {
            return compacted;
        }
        match self.store.compact(newest - kept, self.config.history).await {
            Ok(()) => newest - kept,
            Err(error) => {
                tracing::debug!(%error, "compact");
                compacted
            }
        }
    }
}
