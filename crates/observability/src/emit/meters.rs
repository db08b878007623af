//! What telemetry counts of itself.

use onefold_core::metrics::{Counter, Metrics};

#[derive(Debug)]
pub(super) struct Meters {
    pub(super) dropped_spans: Counter,
    pub(super) dropped_logs: Counter,
    pub(super) dropped_metrics: Counter,
    pub(super) dropped_kept: Counter,
    pub(super) sent_spans: Counter,
    pub(super) sent_logs: Counter,
    pub(super) failures: Counter,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let dropped = |signal| {
            let help = "Spans, log records, pushes of metrics and failed or slow traces that were given up: a \
                        buffer was full, or nobody took them.";
            metrics.counter("onefold_telemetry_dropped", help, &[("signal", signal)])
        };
        let sent = |signal| {
            let help = "Spans and log records that the collector has taken.";
            metrics.counter("onefold_telemetry_sent", help, &[("signal", signal)])
        };
        Self {
            dropped_spans: dropped("spans"),
            dropped_logs: dropped("logs"),
            dropped_metrics: dropped("metrics"),
            dropped_kept: dropped("kept"),
            sent_spans: sent("spans"),
            sent_logs: sent("logs"),
            failures: metrics.counter(
                "onefold_telemetry_failures",
                "Exports that the collector did not take.",
                &[],
            ),
        }
    }
}
