//! Hands ended attempts to the engine: the first at once, what comes meanwhile in one batch behind it.

use super::life::{Life, Report};
use crate::JobId;
use crate::store::{End, Settlement, Settler};
use onefold_core::retry::Backoff;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// Settles until the last sender is gone. One statement is in flight: while it runs, the next batch grows, so
/// that a lone job waits for nobody and a crowd costs one commit.
pub(super) async fn settle(life: Arc<Life>, mut reports: mpsc::Receiver<Report>) {
    let mut settler = life.crew.store.settler(life.id);
    let batch_max = life.crew.config.batch_jobs_max;
    let mut batch = Vec::with_capacity(batch_max);
    while reports.recv_many(&mut batch, batch_max).await > 0 {
        let (settlements, kinds): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|report| (report.settlement, report.kind)).unzip();
        let settled: HashSet<JobId> = persist(settler.as_mut(), &settlements).await.into_iter().collect();
        for (settlement, kind) in settlements.iter().zip(kinds) {
            let kept = settled.contains(&settlement.execution.id);
            if let Some(kind) = kind {
                count(&kind.worked, &settlement.end, kept);
            }
            if let (true, End::Retry { delay, .. } | End::Snooze(delay)) = (kept, &settlement.end) {
                life.due_after(*delay);
            }
        }
    }
}

/// Tries until the engine takes it. It is repeatable, and if it takes too long the lease ends and this with it.
async fn persist(settler: &mut dyn Settler, settlements: &[Settlement]) -> Vec<JobId> {
    let mut attempt = 0;
    loop {
        match settler.settle(settlements).await {
            Ok(settled) => return settled,
            Err(error) => {
                if attempt == 0 {
                    tracing::warn!(
                        jobs = settlements.len(),
                        "settle jobs: {error}; tried until the lease ends"
                    );
                }
                let delay = RETRY.delay(attempt, &mut rand::rng());
                tokio::time::sleep(delay).await;
                attempt += 1;
            }
        }
    }
}

fn count(worked: &crate::metrics::Worked, end: &End, kept: bool) {
    if !kept {
        worked.lost.inc();
        return;
    }
    match end {
        End::Done(_) => worked.completed.inc(),
        End::Retry { .. } => worked.retried.inc(),
        End::Dead(_) => worked.dead.inc(),
        End::Snooze(_) | End::Release | End::Park | End::Cancelled(_) => return,
    };
}
