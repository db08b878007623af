//! The gauges of what waits in each queue, for whoever counts: the leading worker, and where no worker is left, whoever
//! watches the system.

use crate::admin::Depth;
use onefold_core::metrics::Metrics;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// `onefold_queue_jobs` and `onefold_queue_oldest_seconds`.
#[derive(Debug)]
pub struct Backlog {
    /// Queues that have gauges.
    shown: Mutex<BTreeSet<String>>,
    metrics: Metrics,
}

impl Backlog {
    /// Shows nothing yet.
    pub fn new(metrics: &Metrics) -> Self {
        Self { shown: Mutex::default(), metrics: metrics.clone() }
    }

    /// Shows all queues as they were just counted. A queue that was emptied is not counted any more, and who stops to
    /// count shows nothing: or the last backlog would be alerted of for ever.
    pub fn show(&self, depths: &[Depth]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.extend(depths.iter().map(|depth| depth.queue.clone()));
        for queue in shown.iter().filter(|queue| depths.iter().all(|depth| depth.queue != **queue)) {
            self.depth(&Depth { queue: queue.clone(), ..Depth::default() });
        }
        drop(shown);
        for depth in depths {
            self.depth(depth);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
    fn depth(&self, depth: &Depth) {
        let gauge = |state: &str, value: u64| {
            self.metrics
                .gauge(
                    "onefold_queue_jobs",
                    "Live jobs and dead letters by state, as they were last counted.",
                    &[("queue", &depth.queue), ("state", state)],
                )
                .set(value as f64);
        };
        gauge("available", depth.available);
        gauge("scheduled", depth.scheduled);
        gauge("running", depth.running);
        gauge("held", depth.held);
        gauge("dead", depth.dead);
        self.metrics
            .gauge(
                "onefold_queue_oldest_seconds",
                "How long the oldest available job has been due.",
                &[("queue", &depth.queue)],
            )
            .set(depth.oldest_seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_queue_and_one_that_counts_no_more_show_no_backlog() {
        let metrics = Metrics::new();
        let shown = Backlog::new(&metrics);
        let backlog = |queue: &str| Depth {
            queue: queue.to_owned(),
            available: 7,
            oldest_seconds: 90.0,
            ..Depth::default()
        };
        let shows = |queue: &str, oldest: &str| {
            let line = format!("onefold_queue_oldest_seconds{{queue=\"{queue}\"}} {oldest}\n");
            assert!(metrics.render().contains(&line), "{line} in {}", metrics.render());
        };
        shown.show(&[backlog("mail"), backlog("clicks")]);
        shows("mail", "90.0");
        shown.show(&[backlog("clicks")]);
        shows("mail", "0.0");
        shows("clicks", "90.0");
        shown.show(&[]);
        shows("clicks", "0.0");
    }
}
