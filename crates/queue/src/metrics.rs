//! The queue's metrics, resolved once for each kind.

use crate::Kinds;
use crate::admin::Vital;
use crate::backlog::Backlog;
use onefold_core::Clock;
use onefold_core::metrics::{Counter, Histogram, Metrics};
use std::collections::HashMap;

/// What producers count.
#[derive(Debug)]
pub(crate) struct Produced {
    enqueued: HashMap<String, Counter>,
    pub(crate) dropped: Counter,
    seconds: Histogram,
    errors: Counter,
    clock: Clock,
}

impl Produced {
    pub(crate) fn new(kinds: &Kinds, metrics: &Metrics) -> Self {
        let counter =
            |kind: &String| metrics.counter("onefold_queue_enqueued", "Jobs stored.", &[("kind", kind)]);
        Self {
            enqueued: kinds.names().map(|kind| (kind.clone(), counter(kind))).collect(),
            seconds: metrics.latency(
                "onefold_queue_enqueue_seconds",
                "How long it took to store jobs, many of one call together.",
                &[],
            ),
            errors: metrics.counter("onefold_queue_enqueue_errors", "Calls that stored nothing.", &[]),
            clock: Clock::system(),
            dropped: metrics.counter(
                "onefold_queue_buffer_dropped",
                "Buffered jobs that were lost: the buffer was full, or the engine refused them.",
                &[],
            ),
        }
    }

    /// Notes how long a call to the engine takes, and whether it stores anything.
    pub(crate) async fn timed<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let asked = self.clock.now();
        let answer = call.await;
        self.seconds.observe(self.clock.now().saturating_duration_since(asked).as_secs_f64());
        if answer.is_err() {
            self.errors.inc();
        }
        answer
    }

    pub(crate) fn enqueued(&self, kind: &str) {
        if let Some(counter) = self.enqueued.get(kind) {
            counter.inc();
        }
    }
}

/// What a worker counts for one kind.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) fetched: Counter,
    pub(crate) completed: Counter,
    pub(crate) failed: Counter,
    pub(crate) retried: Counter,
    pub(crate) dead: Counter,
    pub(crate) lost: Counter,
    pub(crate) wait_seconds: Histogram,
    pub(crate) run_seconds: Histogram,
}

impl Worked {
    pub(crate) fn new(kind: &str, metrics: &Metrics) -> Self {
        let labels = [("kind", kind)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        Self {
            fetched: counter("onefold_queue_fetched", "Jobs taken by workers."),
            completed: counter("onefold_queue_completed", "Jobs done."),
            failed: counter("onefold_queue_failed", "Attempts that failed."),
            retried: counter("onefold_queue_retried", "Failed attempts that are tried again."),
            dead: counter("onefold_queue_dead", "Jobs that became dead letters."),
            lost: counter(
                "onefold_queue_lost_completions",
                "Attempts that ended after a rescue had taken their job.",
            ),
            wait_seconds: metrics.latency(
                "onefold_queue_wait_seconds",
                "From the moment a job was due to its start.",
                &labels,
            ),
            run_seconds: metrics.latency("onefold_queue_run_seconds", "How long attempts took.", &labels),
        }
    }
}

/// What the leader counts.
#[derive(Debug)]
pub(crate) struct Led {
    pub(crate) rescued: Counter,
    pub(crate) died: Counter,
    pub(crate) fired: Counter,
    pub(crate) backlog: Backlog,
    metrics: Metrics,
}

impl Led {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            rescued: metrics.counter(
                "onefold_queue_rescued",
                "Jobs freed because their worker's lease had ended.",
                &[],
            ),
            died: metrics.counter(
                "onefold_queue_rescued_dead",
                "Jobs that became dead letters because their worker died in the last attempt.",
                &[],
            ),
            fired: metrics.counter("onefold_queue_cron_fired", "Ticks of schedules.", &[]),
            backlog: Backlog::new(metrics),
            metrics: metrics.clone(),
        }
    }

    /// A gauge of the engine's own.
    pub(crate) fn vital(&self, vital: &Vital) {
        self.metrics.gauge(vital.name, vital.help, &[]).set(vital.value);
    }
}
