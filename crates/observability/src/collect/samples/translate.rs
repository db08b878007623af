//! OpenTelemetry's metrics as Prometheus' samples, as Prometheus' own OTLP receiver makes them.
//!
//! Cumulative points are taken as they are; increases (delta) are added up in memory, so that a restart of the
//! observer looks like a restart of the counter. Exponential histograms become classic ones; their increases are
//! refused, since their buckets come and go. A point without a recorded value ends its series.

mod exponential;
mod identity;
mod name;
mod points;
mod text;

pub(super) use identity::Keys;

use super::exemplars::Exemplars;
use super::head::{Head, Outcome};
use super::metadata::Metadata;
use crate::otlp::metrics::{Metric, ResourceMetrics, metric};
use identity::Source;
use name::{Kind, metric_name};

/// What was taken of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Data points that were taken, or were there already.
    pub accepted: u64,
    /// Data points that were refused.
    pub rejected: u64,
    /// Why, for the sender: each reason once with its count; empty if nothing was refused.
    pub why: String,
}

/// Where samples go, and what they are held to.
pub(super) struct Translator<'a> {
    pub(super) head: &'a mut Head,
    pub(super) exemplars: &'a mut Exemplars,
    pub(super) metadata: &'a mut Metadata,
    pub(super) keys: &'a Keys,
    pub(super) now_ms: i64,
    /// Older samples would be deleted at once.
    pub(super) oldest_ms: i64,
    pub(super) tally: Tally,
}

/// Counts of data points, the refused by reason.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: u64,
    refused: Vec<(&'static str, u64)>,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken | Outcome::Known => self.accepted += 1,
            Outcome::Late => self.refuse("a sample is not later than the last one of its series", 1),
            Outcome::Full => self.refuse("there are as many series as the observer keeps", 1),
            Outcome::Unfit(why) => self.refuse(why, 1),
        }
    }

    fn refuse(&mut self, why: &'static str, count: u64) {
        match self.refused.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, sum)) => *sum += count,
            None => self.refused.push((why, count)),
        }
    }

    pub(super) fn accepted(self) -> Accepted {
        let why: Vec<String> = self.refused.iter().map(|(why, count)| format!("{why} ({count})")).collect();
        Accepted {
            accepted: self.accepted,
            rejected: self.refused.iter().map(|(_, count)| count).sum(),
            why: why.join("; "),
        }
    }
}

impl Translator<'_> {
    pub(super) fn translate(&mut self, all: &[ResourceMetrics]) {
        for of in all {
            let attributes = of.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let source = Source::new(attributes, self.keys);
            let metrics = of.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            metrics.for_each(|metric| self.metric(&source, metric));
        }
    }

    fn metric(&mut self, source: &Source, metric: &Metric) {
        use metric::Data;
        let Some(data) = &metric.data else { return };
        let (kind, words) = match data {
            Data::Sum(sum) if sum.is_monotonic => (Kind::Counter, "counter"),
            Data::Gauge(_) => (Kind::Gauge, "gauge"),
            Data::Sum(_) => (Kind::Other, "gauge"),
            Data::Histogram(_) | Data::ExponentialHistogram(_) => (Kind::Other, "histogram"),
            Data::Summary(_) => (Kind::Other, "summary"),
        };
        let name = metric_name(&metric.name, &metric.unit, kind);
        self.metadata.note(&name, words, &metric.description);
        match data {
            Data::Gauge(gauge) => self.gauge(source, &name, gauge),
            Data::Sum(sum) => self.sum(source, &name, sum),
            Data::Histogram(histogram) => self.histogram(source, &name, histogram),
            Data::ExponentialHistogram(histogram) => self.exponential(source, &name, histogram),
            Data::Summary(summary) => self.summary(source, &name, summary),
        }
    }
}

#[cfg(test)]
mod tests;
