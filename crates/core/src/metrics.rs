//! Metric handles: resolved once by name and labels, then only atomics on the hot path.
//!
//! Names follow OpenTelemetry's semantic conventions in Prometheus' spelling, base units (seconds, bytes). One
//! [`Snapshot`] is what `/metrics` prints and what is pushed. They are our own and not a library's: none of the
//! known ones can be read as structs without a code generator of protobuf at build time.

mod exemplar;
mod handle;
mod snapshot;
mod text;

pub use exemplar::Exemplar;
pub use handle::{Counter, Gauge, Histogram, Total};
pub use snapshot::{Family, Kind, Series, Snapshot, Value};
pub use text::CONTENT_TYPE;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounds of the latency buckets, in seconds: from a cache hit to a patient client.
pub const LATENCY_SECONDS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

/// Series of one name. More labels than this are a mistake, and would fill every store behind.
const SERIES_MAX: usize = 1000;

/// All metrics of a node. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    families: Mutex<BTreeMap<&'static str, Registered>>,
    /// Asked before each snapshot to bring gauges up to date.
    sources: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("families", &lock(&self.families).len()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Registered {
    help: String,
    kind: Kind,
    series: Vec<(Vec<(String, String)>, Handle)>,
}

#[derive(Clone, Debug)]
enum Handle {
    Counter(Counter),
    Total(Total),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels; the name is written without `_total`.
    pub fn counter(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Counter {
        match self.handle(name, help, labels, Kind::Counter, || Handle::Counter(Counter::default())) {
            Handle::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The total of this name and these labels, for what somebody else counts; the name is written without `_total`.
    pub fn total(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Total {
        match self.handle(name, help, labels, Kind::Counter, || Handle::Total(Total::default())) {
            Handle::Total(total) => total,
            _ => Total::default(),
        }
    }

    /// The gauge of this name and these labels.
    pub fn gauge(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.handle(name, help, labels, Kind::Gauge, || Handle::Gauge(Gauge::default())) {
            Handle::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram of seconds of this name and these labels, in the buckets of [`LATENCY_SECONDS`].
    pub fn latency(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        let new = || Histogram::new(&LATENCY_SECONDS);
        match self.handle(name, help, labels, Kind::Histogram, || Handle::Histogram(new())) {
            Handle::Histogram(histogram) => histogram,
            _ => new(),
        }
    }

    /// Has `update` called before each snapshot: for gauges that nobody sets when they change. It must not ask for
    /// a snapshot itself.
    pub fn before_snapshot(&self, update: impl Fn() + Send + 'static) {
        lock(&self.0.sources).push(Box::new(update));
    }

    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        for update in lock(&self.0.sources).iter() {
            update();
        }
        let families = lock(&self.0.families);
        let families = families.iter().map(|(name, family)| Family {
            name,
            help: family.help.clone(),
            kind: family.kind,
            series: family.series.iter().map(|(labels, handle)| handle.read(labels)).collect(),
        });
        Snapshot { families: families.collect() }
    }

    /// Everything in the `OpenMetrics` text format, as `/metrics` serves it.
    pub fn render(&self) -> String {
        self.snapshot().to_string()
    }

    /// The handle that is registered, or a new one. A name that is used for another kind, and series beyond the
    /// bound, get handles that nobody reads: a metric must not stop a node.
    fn handle(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        kind: Kind,
        new: impl FnOnce() -> Handle,
    ) -> Handle {
        let mut families = lock(&self.0.families);
        let registered =
            || Registered { help: help.trim_end_matches('.').to_owned(), kind, series: Vec::new() };
        let family = families.entry(name).or_insert_with(registered);
        let is_same = |known: &[(String, String)]| {
            known.len() == labels.len() && known.iter().zip(labels).all(|(a, b)| a.0 == b.0 && a.1 == b.1)
        };
        if let Some((_, handle)) = family.series.iter().find(|(known, _)| is_same(known)) {
            return handle.clone();
        }
        let handle = new();
        if family.kind != kind || family.series.len() >= SERIES_MAX {
            tracing::warn!(metric.name = name, ?labels, "a metric of another kind, or with too many series");
            return handle;
        }
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        family.series.push((labels, handle.clone()));
        handle
    }
}

impl Handle {
    fn read(&self, labels: &[(String, String)]) -> Series {
        let value = match self {
            Self::Counter(counter) => Value::Count(counter.get()),
            Self::Total(total) => Value::Number(total.get()),
            Self::Gauge(gauge) => Value::Number(gauge.get()),
            Self::Histogram(histogram) => {
                let (bounds, counts, sum, exemplars) = histogram.read();
                Value::Histogram { bounds, counts, sum, exemplars }
            }
        };
        Series { labels: labels.to_vec(), value }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceContext;

    #[test]
    fn handles_of_one_name_and_labels_count_together() {
        let metrics = Metrics::new();
        metrics.counter("retries", "Tries after the first.", &[("zone", "a")]).inc();
        metrics.counter("retries", "Tries after the first.", &[("zone", "a")]).inc();
        metrics.counter("retries", "Tries after the first.", &[("zone", "b")]).inc();
        metrics.counter("plain", "Without labels.", &[]).inc_by(7);
        let text = metrics.render();
        assert!(text.contains("# HELP retries Tries after the first\n# TYPE retries counter\n"), "{text}");
        assert!(text.contains("retries_total{zone=\"a\"} 2\nretries_total{zone=\"b\"} 1\n"), "{text}");
        assert!(text.contains("\nplain_total 7\n") || text.starts_with("# HELP plain"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_histogram_shows_what_fell_below_each_bound_and_one_trace_for_it() {
        let metrics = Metrics::new();
        let latency = metrics.latency("took_seconds", "How long.", &[("who", "a\"b\\")]);
        let (sampled, unsampled) = (TraceContext::root(true), TraceContext::root(false));
        unsampled.enter(|| latency.observe(0.000_05));
        sampled.enter(|| latency.observe(0.3));
        latency.observe(99.0);
        let text = metrics.render();
        for line in [
            r#"took_seconds_bucket{who="a\"b\\",le="0.00005"} 1"#.to_owned() + "\n",
            r#"took_seconds_bucket{who="a\"b\\",le="0.25"} 1"#.to_owned() + "\n",
            format!(
                r#"took_seconds_bucket{{who="a\"b\\",le="0.5"}} 2 # {{trace_id="{}",span_id="{}"}} 0.3 "#,
                sampled.trace_id(),
                sampled.span_id()
            ),
            r#"took_seconds_bucket{who="a\"b\\",le="+Inf"} 3"#.to_owned() + "\n",
            r#"took_seconds_count{who="a\"b\\"} 3"#.to_owned() + "\n",
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(!text.contains(&unsampled.trace_id()), "{text}");
    }

    #[test]
    fn a_total_never_falls_and_sources_are_asked_before_each_snapshot() {
        let metrics = Metrics::new();
        let (total, gauge) = (metrics.total("cpu_seconds", "", &[]), metrics.gauge("depth", "", &[]));
        let source = gauge.clone();
        metrics.before_snapshot(move || {
            source.inc();
        });
        total.set(2.5);
        total.set(1.0);
        metrics.snapshot();
        let text = metrics.render();
        assert!(text.contains("cpu_seconds_total 2.5\n"), "{text}");
        assert!(text.contains("depth 2.0\n"), "{text}");
    }

    #[test]
    fn a_name_of_another_kind_and_labels_without_bound_are_not_shown() {
        let metrics = Metrics::new();
        metrics.counter("things", "", &[]).inc();
        metrics.gauge("things", "", &[]).set(9.0);
        for n in 0..=SERIES_MAX {
            metrics.counter("many", "", &[("n", &n.to_string())]).inc();
        }
        let snapshot = metrics.snapshot();
        let series = |name| snapshot.families.iter().find(|family| family.name == name).unwrap().series.len();
        assert_eq!((series("things"), series("many")), (1, SERIES_MAX));
    }
}
