//! The stores' gauges, brought up to date before each snapshot of the observer's own metrics.

use super::promql::count;
use super::{Logs, Retention, Samples, Spans};
use onefold_core::metrics::{Gauge, Metrics, Total};

/// What is shown of a signal.
struct Store {
    bytes: Gauge,
    bytes_max: Gauge,
    items: Gauge,
    lost: Total,
}

impl Store {
    fn new(signal: &str, metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[("signal", signal)]);
        Self {
            bytes: gauge("onefold_observer_store_bytes", "Disk that a signal takes"),
            bytes_max: gauge(
                "onefold_observer_store_bytes_max",
                "Disk that a signal may take: then the oldest is deleted",
            ),
            items: gauge("onefold_observer_store_items", "Spans, log lines and samples that are kept"),
            lost: metrics.total(
                "onefold_observer_lost_items",
                "Items that had been acknowledged and were not stored, with a process that died or a disk that refused",
                &[("signal", signal)],
            ),
        }
    }

    fn set(&self, kept: &Retention) {
        let value = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX));
        self.bytes.set(value(kept.bytes));
        self.bytes_max.set(value(kept.bytes_max));
        self.items.set(value(kept.count));
        self.lost.set(value(kept.lost));
    }
}

/// Shows what is kept, and how many series there are.
pub(super) fn expose(spans: &Spans, logs: &Logs, samples: &Samples, metrics: &Metrics) {
    let stores = ["spans", "logs", "samples"].map(|signal| Store::new(signal, metrics));
    let series = metrics.gauge("onefold_observer_series", "Series of samples that are known", &[]);
    let help = "Series that may be known: a new one beyond is refused";
    metrics.gauge("onefold_observer_series_max", help, &[]).set(count(samples.series_max()));
    let (spans, logs, samples) = (spans.clone(), logs.clone(), samples.clone());
    metrics.before_snapshot(move || {
        let kept = [spans.retention(), logs.retention(), samples.retention()];
        for (store, kept) in stores.iter().zip(&kept) {
            store.set(kept);
        }
        series.set(count(samples.series_count()));
    });
}
