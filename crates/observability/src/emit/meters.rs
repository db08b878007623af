//! What telemetry counts of itself.

use onefold_core::metrics::{Counter, Metrics};

/// What is lost before any collector is thought of.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "more than losses may come to be counted here")]
pub(super) struct Meters {
    pub(super) dropped_spans: Counter,
    pub(super) dropped_logs: Counter,
    pub(super) dropped_kept: Counter,
}

/// What becomes of one signal on its way to one collector.
#[derive(Debug)]
pub(super) struct LaneMeters {
    pub(super) dropped: Counter,
    /// None for metrics: each push says what the one before it said, and more.
    pub(super) sent: Option<Counter>,
    pub(super) failures: Counter,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let dropped = |signal| dropped(metrics, &[("signal", signal)]);
        Self { dropped_spans: dropped("spans"), dropped_logs: dropped("logs"), dropped_kept: dropped("kept") }
    }
}

impl LaneMeters {
    pub(super) fn new(metrics: &Metrics, signal: &str, collector: &str) -> Self {
        let labels = [("signal", signal), ("collector", collector)];
        let help = "Spans and log records that the collector has taken.";
        let sent = || metrics.counter("onefold_telemetry_sent", help, &labels);
        Self {
            dropped: dropped(metrics, &labels),
            sent: (signal != "metrics").then(sent),
            failures: metrics.counter(
                "onefold_telemetry_failures",
                "Exports that the collector did not take.",
                &[("collector", collector)],
            ),
        }
    }
}

fn dropped(metrics: &Metrics, labels: &[(&str, &str)]) -> Counter {
    let help = "Spans, log records, pushes of metrics and failed or slow traces that were given up: a buffer was full, \
                or the collector did not take them.";
    metrics.counter("onefold_telemetry_dropped", help, labels)
}
