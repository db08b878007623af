//! Counts what waits in the queues while no worker is a member: the leading worker counts otherwise, and with the last
//! worker its figures would go, and the alert that jobs wait with them.

use onefold_core::metrics::Metrics;
use onefold_core::{Members, Role};
use onefold_queue::{Admin, Backlog};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Between two counts: a series ends ten seconds after its last sample.
const COUNT: Duration = Duration::from_secs(5);

/// Counts in the workers' stead until the node stops.
pub(super) async fn watch(
    jobs: Admin,
    mut members: watch::Receiver<Members>,
    metrics: Metrics,
    stopping: CancellationToken,
) {
    let backlog = Backlog::new(&metrics);
    let stand_in = async {
        while members.wait_for(is_without_workers).await.is_ok() {
            tokio::select! {
                () = count(&jobs, &backlog) => {}
                _ = members.wait_for(|members| !is_without_workers(members)) => {}
            }
            // A worker counts again, and two would be added up.
            backlog.show(&[]);
        }
    };
    stopping.run_until_cancelled(stand_in).await;
}

/// Whether the others are seen, and no worker is among them: before the first look nobody is.
fn is_without_workers(members: &Members) -> bool {
    !members.is_empty() && members.iter().all(|member| member.role != Role::Worker)
}

/// Counts for ever.
async fn count(jobs: &Admin, backlog: &Backlog) {
    loop {
        match jobs.depths_bounded().await {
            Ok(depths) => backlog.show(&depths),
            Err(error) => tracing::debug!("count what waits in the queues: {error}; tried again"),
        }
        tokio::time::sleep(COUNT).await;
    }
}
