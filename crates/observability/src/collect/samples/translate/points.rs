//! Each kind of data point as samples.

use super::Translator;
use super::exponential::cumulative;
use super::identity::{Extra, Identity, Source};
use super::text::{hex, text};
use crate::collect::promql::{Labels, STALE, Sample};
use crate::collect::samples::exemplars::Exemplar;
use crate::collect::samples::head::{Outcome, Point};
use crate::otlp::metrics::{
    self as otlp, AggregationTemporality, DataPointFlags, ExponentialHistogram, Gauge, Histogram,
    HistogramDataPoint, NumberDataPoint, Sum, Summary, exemplar, number_data_point,
};

/// A clock that is ahead by more would keep later samples out.
const AHEAD_MS: i64 = 600_000;

type Checked<T> = Result<T, &'static str>;

#[derive(Clone, Copy, PartialEq)]
enum Temporality {
    Cumulative,
    Delta,
}

impl Temporality {
    fn of(number: i32) -> Checked<Self> {
        match AggregationTemporality::try_from(number) {
            Ok(AggregationTemporality::Cumulative) => Ok(Self::Cumulative),
            Ok(AggregationTemporality::Delta) => Ok(Self::Delta),
            _ => Err("a sum or histogram does not say whether it is cumulative or delta"),
        }
    }

    fn point(self, value: f64) -> Point {
        match self {
            Self::Cumulative => Point::Value(value),
            Self::Delta => Point::Increase(value),
        }
    }
}

/// What a histogram's point says.
struct Distribution {
    /// Upper bounds in order, each with the count at or below it; without the last, infinite one.
    buckets: Vec<(f64, u64)>,
    count: u64,
    sum: Option<f64>,
    temporality: Temporality,
}

impl Translator<'_> {
    pub(super) fn gauge(&mut self, source: &Source, name: &str, gauge: &Gauge) {
        self.numbers(source, name, &gauge.data_points, Temporality::Cumulative);
    }

    pub(super) fn sum(&mut self, source: &Source, name: &str, sum: &Sum) {
        match Temporality::of(sum.aggregation_temporality) {
            Ok(temporality) => self.numbers(source, name, &sum.data_points, temporality),
            Err(why) => self.tally.refuse(why, sum.data_points.len() as u64),
        }
    }

    fn numbers(&mut self, source: &Source, name: &str, points: &[NumberDataPoint], temporality: Temporality) {
        for point in points {
            let identity = Identity::new(source, name, &point.attributes, self.keys);
            let value = match point.value {
                _ if is_silent(point.flags) => Ok(Point::Value(STALE)),
                Some(value) => Ok(temporality.point(number(value))),
                None => Err("a data point has no value"),
            };
            let outcome = value.and_then(|value| Ok((value, self.at_ms(point.time_unix_nano)?)));
            let outcome = outcome.map_or_else(Outcome::Unfit, |(value, at_ms)| {
                self.put(&identity, "", Extra::None, at_ms, value)
            });
            self.tally.add(outcome);
            self.keep_exemplars(&point.exemplars, |_| identity.labels("", Extra::None));
        }
    }

    pub(super) fn histogram(&mut self, source: &Source, name: &str, histogram: &Histogram) {
        let temporality = match Temporality::of(histogram.aggregation_temporality) {
            Ok(temporality) => temporality,
            Err(why) => return self.tally.refuse(why, histogram.data_points.len() as u64),
        };
        for point in &histogram.data_points {
            let identity = Identity::new(source, name, &point.attributes, self.keys);
            let distribution = classic(point).map(|buckets| Distribution {
                buckets,
                count: point.count,
                sum: point.sum,
                temporality,
            });
            self.distribution(&identity, point.time_unix_nano, point.flags, distribution);
            let bounds = &point.explicit_bounds;
            self.keep_exemplars(&point.exemplars, |value| {
                let bound = bounds.iter().copied().find(|bound| value <= *bound).unwrap_or(f64::INFINITY);
                identity.labels("_bucket", Extra::Le(bound))
            });
        }
    }

    pub(super) fn exponential(&mut self, source: &Source, name: &str, histogram: &ExponentialHistogram) {
        let refused = match Temporality::of(histogram.aggregation_temporality) {
            Ok(Temporality::Cumulative) => None,
            Ok(Temporality::Delta) => {
                Some("exponential histograms are taken as cumulative only, not as delta")
            }
            Err(why) => Some(why),
        };
        if let Some(why) = refused {
            return self.tally.refuse(why, histogram.data_points.len() as u64);
        }
        for point in &histogram.data_points {
            let identity = Identity::new(source, name, &point.attributes, self.keys);
            let distribution = cumulative(point).map(|buckets| Distribution {
                buckets,
                count: point.count,
                sum: point.sum,
                temporality: Temporality::Cumulative,
            });
            self.distribution(&identity, point.time_unix_nano, point.flags, distribution);
            self.keep_exemplars(&point.exemplars, |_| identity.labels("_bucket", Extra::Le(f64::INFINITY)));
        }
    }

    /// `_bucket` for each bound, `_count` and `_sum`.
    fn distribution(&mut self, identity: &Identity<'_>, nanos: u64, flags: u32, of: Checked<Distribution>) {
        let (of, at_ms) = match of.and_then(|of| Ok((of, self.at_ms(nanos)?))) {
            Ok(both) => both,
            Err(why) => return self.tally.add(Outcome::Unfit(why)),
        };
        let silent = is_silent(flags);
        let point = |value| if silent { Point::Value(STALE) } else { of.temporality.point(value) };
        let mut outcome = Outcome::Known;
        for (bound, count) in of.buckets.iter().copied().chain([(f64::INFINITY, of.count)]) {
            let one = self.put(identity, "_bucket", Extra::Le(bound), at_ms, point(float(count)));
            outcome = worse(outcome, one);
        }
        outcome = worse(outcome, self.put(identity, "_count", Extra::None, at_ms, point(float(of.count))));
        if let Some(sum) = of.sum {
            outcome = worse(outcome, self.put(identity, "_sum", Extra::None, at_ms, point(sum)));
        }
        self.tally.add(outcome);
    }

    pub(super) fn summary(&mut self, source: &Source, name: &str, summary: &Summary) {
        for point in &summary.data_points {
            let identity = Identity::new(source, name, &point.attributes, self.keys);
            let outcome = self.at_ms(point.time_unix_nano).map_or_else(Outcome::Unfit, |at_ms| {
                let silent = is_silent(point.flags);
                let value = |value| Point::Value(if silent { STALE } else { value });
                let mut outcome =
                    self.put(&identity, "_count", Extra::None, at_ms, value(float(point.count)));
                outcome = worse(outcome, self.put(&identity, "_sum", Extra::None, at_ms, value(point.sum)));
                for at in &point.quantile_values {
                    let one = self.put(&identity, "", Extra::Quantile(at.quantile), at_ms, value(at.value));
                    outcome = worse(outcome, one);
                }
                outcome
            });
            self.tally.add(outcome);
        }
    }

    fn put(&mut self, of: &Identity<'_>, suffix: &str, extra: Extra, at_ms: i64, point: Point) -> Outcome {
        self.head.append(of.key(suffix, extra, self.keys), || of.labels(suffix, extra), at_ms, point)
    }

    /// A point's time in milliseconds; one that says none is of now.
    fn at_ms(&self, nanos: u64) -> Checked<i64> {
        if nanos == 0 {
            return Ok(self.now_ms);
        }
        let at_ms = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        if at_ms > self.now_ms.saturating_add(AHEAD_MS) {
            return Err("a sample's time is more than ten minutes ahead of the observer's clock");
        }
        if at_ms < self.oldest_ms {
            return Err("a sample is older than what the observer keeps");
        }
        Ok(at_ms)
    }

    fn keep_exemplars(&mut self, all: &[otlp::Exemplar], series: impl Fn(f64) -> Checked<Labels>) {
        for one in all {
            let value = match one.value {
                Some(exemplar::Value::AsDouble(value)) => value,
                Some(exemplar::Value::AsInt(value)) => int(value),
                None => continue,
            };
            let (Ok(at_ms), Ok(series)) = (self.at_ms(one.time_unix_nano), series(value)) else { continue };
            let ids = [("trace_id", &one.trace_id), ("span_id", &one.span_id)];
            let ids = ids.into_iter().map(|(name, id)| (name.to_owned(), hex(id)));
            let attributes = one.filtered_attributes.iter().filter_map(|attribute| {
                Some((attribute.key.clone(), text(attribute.value.as_ref()?).into_owned()))
            });
            let labels = Labels::new(ids.chain(attributes));
            self.exemplars.keep(series, Exemplar { labels, sample: Sample { at_ms, value } });
        }
    }
}

fn classic(point: &HistogramDataPoint) -> Checked<Vec<(f64, u64)>> {
    let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    if counts.len() != bounds.len() + 1 {
        return Err("a histogram has not one bucket more than bounds");
    }
    if bounds.windows(2).any(|pair| pair[0].partial_cmp(&pair[1]) != Some(std::cmp::Ordering::Less)) {
        return Err("a histogram's bounds do not ascend");
    }
    let mut all = 0_u64;
    let sums = bounds.iter().zip(counts).map(|(bound, count)| {
        all = all.saturating_add(*count);
        (*bound, all)
    });
    // A bound at infinity is the bucket that is always there.
    Ok(sums.filter(|(bound, _)| bound.is_finite()).collect())
}

/// The sender says that there was nothing to measure.
fn is_silent(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

/// A refusal counts for the whole point.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (Outcome::Taken | Outcome::Known, other) => other,
        (refused, _) => refused,
    }
}

fn number(value: number_data_point::Value) -> f64 {
    match value {
        number_data_point::Value::AsDouble(value) => value,
        number_data_point::Value::AsInt(value) => int(value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' samples are floats")]
fn int(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' samples are floats")]
fn float(count: u64) -> f64 {
    count as f64
}
