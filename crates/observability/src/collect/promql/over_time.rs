//! Functions over the samples of one series in a window, as Prometheus computes them.

use super::math;
use super::number::{self, seconds};
use super::select::Sample;

/// The samples of one series in a window, never none.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    pub(crate) samples: &'a [Sample],
    /// Where the window begins and ends.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The time that is evaluated, which an offset sets apart from the window's end.
    pub(crate) now_ms: i64,
}

impl<'a> Window<'a> {
    fn values(&self) -> impl Iterator<Item = f64> + Clone + 'a {
        self.samples.iter().map(|sample| sample.value)
    }

    fn last_two(&self) -> Option<(Sample, Sample)> {
        match self.samples {
            [.., before, last] => Some((*before, *last)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
}

pub(crate) fn rate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(extrapolated(window, Kind::Counter)? / seconds(window.end_ms - window.start_ms))
}

pub(crate) fn increase(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, Kind::Counter)
}

pub(crate) fn delta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, Kind::Gauge)
}

/// The change from the first sample to the last, extended to the window's edges: to the edge itself where the
/// next sample would lie about there, else by half the distance of samples; a counter never below zero.
fn extrapolated(window: &Window<'_>, kind: Kind) -> Option<f64> {
    let (first, last) = (window.samples.first()?, window.samples.last()?);
    if window.samples.len() < 2 {
        return None;
    }
    let mut change = last.value - first.value;
    if kind == Kind::Counter {
        let pairs = window.samples.windows(2);
        change += pairs.filter(|pair| pair[1].value < pair[0].value).map(|pair| pair[0].value).sum::<f64>();
    }
    let sampled = seconds(last.at_ms - first.at_ms);
    let apart = sampled / number::count(window.samples.len() - 1);
    let near_enough = apart * 1.1;
    let mut to_start = seconds(first.at_ms - window.start_ms);
    if to_start >= near_enough {
        to_start = apart / 2.0;
    }
    if kind == Kind::Counter && change > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / change));
    }
    let mut to_end = seconds(window.end_ms - last.at_ms);
    if to_end >= near_enough {
        to_end = apart / 2.0;
    }
    Some(change * ((sampled + to_start + to_end) / sampled))
}

pub(crate) fn irate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let (before, last) = window.last_two()?;
    let change = if last.value < before.value { last.value } else { last.value - before.value };
    let apart = seconds(last.at_ms - before.at_ms);
    (apart > 0.0).then(|| change / apart)
}

pub(crate) fn idelta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let (before, last) = window.last_two()?;
    Some(last.value - before.value)
}

pub(crate) fn deriv(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    if window.samples.len() < 2 {
        return None;
    }
    Some(regression(window.samples, window.samples[0].at_ms).0)
}

pub(crate) fn predict_linear(window: &Window<'_>, with: &[f64]) -> Option<f64> {
    if window.samples.len() < 2 {
        return None;
    }
    let (slope, intercept) = regression(window.samples, window.now_ms);
    Some(slope * with[0] + intercept)
}

/// The line of least squares: its slope for each second, and its value at `origin_ms`.
fn regression(samples: &[Sample], origin_ms: i64) -> (f64, f64) {
    let first = samples[0].value;
    if samples.iter().all(|sample| sample.value.to_bits() == first.to_bits()) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = number::count(samples.len());
    let x = |sample: &Sample| seconds(sample.at_ms - origin_ms);
    let mean_x = math::sum(samples.iter().map(x)) / n;
    let mean_y = math::sum(samples.iter().map(|sample| sample.value)) / n;
    let covariance = math::sum(samples.iter().map(|sample| (x(sample) - mean_x) * (sample.value - mean_y)));
    let variance = math::sum(samples.iter().map(|sample| (x(sample) - mean_x).powi(2)));
    let slope = covariance / variance;
    (slope, mean_y - slope * mean_x)
}

pub(crate) fn changes(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let changed = |pair: &&[Sample]| {
        let (a, b) = (pair[0].value, pair[1].value);
        a.partial_cmp(&b) != Some(std::cmp::Ordering::Equal) && !(a.is_nan() && b.is_nan())
    };
    Some(number::count(window.samples.windows(2).filter(changed).count()))
}

pub(crate) fn resets(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(number::count(window.samples.windows(2).filter(|pair| pair[1].value < pair[0].value).count()))
}

pub(crate) fn average(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(math::mean(window.values()))
}

pub(crate) fn sum(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(math::sum(window.values()))
}

pub(crate) fn count(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(number::count(window.samples.len()))
}

/// NaN only where nothing else is.
pub(crate) fn maximum(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    window.values().reduce(f64::max)
}

/// NaN only where nothing else is.
pub(crate) fn minimum(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    window.values().reduce(f64::min)
}

pub(crate) fn stddev(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(math::variance(window.values()).sqrt())
}

pub(crate) fn stdvar(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(math::variance(window.values()))
}

pub(crate) fn quantile(window: &Window<'_>, with: &[f64]) -> Option<f64> {
    Some(math::quantile(with[0], window.values().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(samples: &[Sample], start_ms: i64, end_ms: i64) -> Window<'_> {
        Window { samples, start_ms, end_ms, now_ms: end_ms }
    }

    #[test]
    fn a_counter_born_in_the_window_is_extended_by_half_a_step_and_not_below_zero() {
        let born = |first: f64| {
            let at = |i: i64, value| Sample { at_ms: 100_000 + i * 10_000, value };
            let samples = [at(0, first), at(1, first + 10.0), at(2, first + 20.0)];
            increase(&window(&samples, 0, 120_000), &[]).unwrap()
        };
        assert!((born(100.0) - 25.0).abs() < 1e-9, "half a step before the first sample");
        assert!((born(2.0) - 22.0).abs() < 1e-9, "to where it was zero");
        assert!((born(8.0) - 25.0).abs() < 1e-9, "as Prometheus 3; 2 went to zero here");
    }
}
