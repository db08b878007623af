//! Arithmetic as Go has it where Rust differs, and the statistics that functions and aggregations share.

use super::number;

/// The larger value; NaN if one is, where [`f64::max`] would take the other.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller value; NaN if one is.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

pub(crate) fn clamp(value: f64, with: &[f64]) -> Option<f64> {
    let (low, high) = (with[0], with[1]);
    if high < low { None } else { Some(maximum(low, minimum(high, value))) }
}

/// To the nearest multiple; halves go up.
#[expect(clippy::unnecessary_wraps, reason = "the form of the table of functions")]
pub(crate) fn round(value: f64, with: &[f64]) -> Option<f64> {
    // Prometheus divides by the inverse, which keeps 0.1 exact enough.
    let inverse = 1.0 / with.first().copied().unwrap_or(1.0);
    Some((value * inverse + 0.5).floor() / inverse)
}

#[expect(clippy::unnecessary_wraps, reason = "the form of the table of functions")]
pub(crate) fn sign(value: f64, _: &[f64]) -> Option<f64> {
    Some(if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    })
}

/// A sum that loses no small part to a large one (Neumaier's form of Kahan's).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        if next.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - next) + value;
        } else {
            self.lost += (value - next) + self.sum;
        }
        self.sum = next;
    }

    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.total()
}

/// The mean; where the sum would overflow, by steps.
pub(crate) fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = number::count(values.clone().count());
    let total = sum(values.clone());
    if total.is_finite() || values.clone().any(|value| !value.is_finite()) {
        return total / n;
    }
    let mut mean = 0.0;
    let mut seen = 0.0;
    for value in values {
        seen += 1.0;
        mean += value / seen - mean / seen;
    }
    mean
}

/// The population's variance, by Welford's recurrence.
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let delta = value - mean;
        mean += delta / n;
        squares += delta * (value - mean);
    }
    squares / n
}

/// The value at a share of the sorted values, between the nearest two by their distance.
pub(crate) fn quantile(share: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let last = values.len() - 1;
    let rank = share * number::count(last);
    let lower = number::whole(rank).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Ascending, NaN before everything, as Prometheus sorts.
pub(crate) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    b.is_nan().cmp(&a.is_nan()).then_with(|| a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_is_small_beside_what_is_large() {
        assert!((sum([1e100, 1.0, -1e100].into_iter()) - 1.0).abs() < f64::EPSILON);
        assert!((mean([f64::MAX, f64::MAX].into_iter()) - f64::MAX).abs() < 1.0);
    }
}
