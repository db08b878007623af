//! A group of tasks that are named, told to stop, and waited for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Owns the background tasks of a node. Clones share one group.
#[derive(Clone, Debug, Default)]
pub struct TaskGroup(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopping: CancellationToken,
    abandoned: CancellationToken,
    tracker: TaskTracker,
}

impl TaskGroup {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It should end by itself soon after [`TaskGroup::stopping`]; one that does not within the
    /// drain deadline is dropped at its next await.
    #[expect(clippy::disallowed_methods, reason = "this is where tasks are started")]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let abandoned = self.0.abandoned.clone();
        tokio::spawn(self.0.tracker.track_future(async move {
            tokio::select! {
                () = task.instrument(tracing::debug_span!(parent: None, "task", task.name = name)) => {}
                () = abandoned.cancelled() => tracing::warn!(task.name = name, "task dropped at the drain deadline"),
            }
        }));
    }

    /// Cancelled when the group is told to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    /// Tells all tasks to stop and waits for them until `drain` has passed, then drops the rest. Answers
    /// whether all ended by themselves.
    pub async fn stop(&self, drain: Duration) -> bool {
        self.0.stopping.cancel();
        self.0.tracker.close();
        let in_time = tokio::time::timeout(drain, self.0.tracker.wait()).await.is_ok();
        self.0.abandoned.cancel();
        self.0.tracker.wait().await;
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_waits_for_those_that_listen_and_drops_those_that_do_not() {
        let group = TaskGroup::new();
        let stopping = group.stopping();
        group.spawn("listens", async move { stopping.cancelled().await });
        assert!(group.stop(Duration::from_secs(5)).await);

        let group = TaskGroup::new();
        group.spawn("deaf", std::future::pending());
        assert!(!group.stop(Duration::from_millis(10)).await);
    }
}
