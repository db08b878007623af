//! Metric handles: resolved once by name and labels, then only atomics on the hot path.
//!
//! Names follow OpenTelemetry's semantic conventions in Prometheus' spelling, base units (seconds, bytes).

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::registry;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts up.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// Goes up and down.
pub type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
/// Counts values by bucket, with their sum.
pub type Histogram = prometheus_client::metrics::histogram::Histogram;

type Labels = Vec<(String, String)>;

/// Bounds of the latency buckets, in seconds: from a cache hit to a patient client.
pub const LATENCY_SECONDS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

/// All metrics of a node. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Families>>);

#[derive(Debug, Default)]
struct Families {
    registry: registry::Registry,
    counters: HashMap<&'static str, Family<Labels, Counter>>,
    gauges: HashMap<&'static str, Family<Labels, Gauge>>,
    histograms: HashMap<&'static str, Family<Labels, Histogram, Latency>>,
}

#[derive(Clone, Debug)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(LATENCY_SECONDS)
    }
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels; the name is written without `_total`.
    pub fn counter(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Counter {
        let Families { registry, counters, .. } = &mut *self.families();
        let family =
            counters.entry(name).or_insert_with(|| registered(registry, name, help, Family::default()));
        family.get_or_create_owned(&owned(labels))
    }

    /// The gauge of this name and these labels.
    pub fn gauge(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        let Families { registry, gauges, .. } = &mut *self.families();
        let family =
            gauges.entry(name).or_insert_with(|| registered(registry, name, help, Family::default()));
        family.get_or_create_owned(&owned(labels))
    }

    /// The histogram of seconds of this name and these labels, in the buckets of [`LATENCY_SECONDS`].
    pub fn latency(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        let Families { registry, histograms, .. } = &mut *self.families();
        let family = histograms
            .entry(name)
            .or_insert_with(|| registered(registry, name, help, Family::new_with_constructor(Latency)));
        family.get_or_create_owned(&owned(labels))
    }

    /// Everything in the `OpenMetrics` text format, as `/metrics` serves it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail.
        let _ = encode(&mut text, &self.families().registry);
        text
    }

    fn families(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn registered<F: prometheus_client::registry::Metric + Clone>(
    registry: &mut registry::Registry,
    name: &'static str,
    help: &str,
    family: F,
) -> F {
    registry.register(name, help, family.clone());
    family
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_one_name_and_labels_count_together() {
        let metrics = Metrics::new();
        metrics.counter("retries", "Tries after the first.", &[("zone", "a")]).inc();
        metrics.counter("retries", "Tries after the first.", &[("zone", "a")]).inc();
        metrics.counter("retries", "Tries after the first.", &[("zone", "b")]).inc();
        let text = metrics.render();
        assert!(text.contains(r#"retries_total{zone="a"} 2"#), "{text}");
        assert!(text.contains(r#"retries_total{zone="b"} 1"#), "{text}");
    }
}
