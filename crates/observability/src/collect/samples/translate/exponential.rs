//! Exponential histograms as classic ones.
//!
//! Their buckets are widened to two for each factor of two, so that a sender that changes its scale does not change
//! the bounds: a quantile is at most 41 % off, and by interpolation far less.

use crate::otlp::metrics::ExponentialHistogramDataPoint;
use crate::otlp::metrics::exponential_histogram_data_point::Buckets;

/// Two buckets for each factor of two.
const SCALE: i32 = 1;
/// More than 64 factors of two are no measurement.
const BUCKETS_MAX: usize = 256;

/// The upper bounds in order, each with the count of all values at or below it; without the last, which is all.
pub(super) fn cumulative(point: &ExponentialHistogramDataPoint) -> Result<Vec<(f64, u64)>, &'static str> {
    let scale = point.scale.min(SCALE);
    if !(-10..=20).contains(&point.scale) {
        return Err("an exponential histogram has a scale outside of -10 to 20");
    }
    let negative = widened(point.negative.as_ref(), point.scale - scale)?;
    let positive = widened(point.positive.as_ref(), point.scale - scale)?;
    // 2^(2^-scale), the factor from bound to bound.
    let bound = |index: i32| (f64::from(index) * 2.0_f64.powi(-scale)).exp2();
    let mut all = 0;
    let mut found = Vec::with_capacity(negative.len() + positive.len() + 2);
    // A negative bucket holds [-bound(index + 1), -bound(index)): the lowest values stand in the highest index.
    for (index, count) in negative.iter().rev() {
        all += count;
        found.push((-bound(*index), all));
    }
    if point.zero_count > 0 || !found.is_empty() {
        all += point.zero_count;
        found.push((point.zero_threshold.max(0.0), all));
    }
    for (index, count) in positive {
        all += count;
        found.push((bound(index + 1), all));
    }
    if found.len() > BUCKETS_MAX {
        return Err("an exponential histogram spans more than 256 buckets of a factor of 1.41");
    }
    Ok(found)
}

/// Indices from the first to the last bucket that is not empty, with their counts, at a scale lower by `by`.
fn widened(buckets: Option<&Buckets>, by: i32) -> Result<Vec<(i32, u64)>, &'static str> {
    let mut found: Vec<(i32, u64)> = Vec::new();
    let Some(buckets) = buckets else { return Ok(found) };
    let counts = &buckets.bucket_counts;
    let full = |count: &u64| *count > 0;
    let (Some(first), Some(last)) = (counts.iter().position(full), counts.iter().rposition(full)) else {
        return Ok(found);
    };
    let out_of_range = "an exponential histogram has an index out of range";
    for (place, count) in counts.iter().enumerate().take(last + 1).skip(first) {
        let index = i32::try_from(place).ok().and_then(|place| buckets.offset.checked_add(place));
        let index = index.ok_or(out_of_range)? >> by;
        match found.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.saturating_add(*count),
            _ => found.push((index, *count)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(scale: i32, offset: i32, counts: &[u64]) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            scale,
            positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
            ..Default::default()
        }
    }

    #[test]
    fn buckets_keep_their_bounds_whatever_the_scale() {
        // Scale 0: (1, 2], (2, 4], (4, 8].
        assert_eq!(cumulative(&point(0, 0, &[3, 0, 2])).unwrap(), [(2.0, 3), (4.0, 3), (8.0, 5)]);
        // Scale 3 has eight buckets for each factor of two; four become one.
        let fine = cumulative(&point(3, 0, &[1; 16])).unwrap();
        let counts: Vec<u64> = fine.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [4, 8, 12, 16]);
        let bounds = [2.0_f64.sqrt(), 2.0, 8.0_f64.sqrt(), 4.0];
        assert!(fine.iter().zip(bounds).all(|((bound, _), expected)| (bound - expected).abs() < 1e-12));
    }

    #[test]
    fn zero_and_negative_values_stand_before_the_positive() {
        let mut both = point(0, 0, &[5]);
        both.zero_count = 2;
        both.negative = Some(Buckets { offset: 0, bucket_counts: vec![1, 4] });
        // [-4, -2): 4, [-2, -1): 1, 0: 2, (1, 2]: 5. A bound counts what lies at or below it.
        assert_eq!(cumulative(&both).unwrap(), [(-2.0, 4), (-1.0, 5), (0.0, 7), (2.0, 12)]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(cumulative(&point(99, 0, &[1])).is_err());
        assert!(cumulative(&point(0, i32::MAX, &[0, 1])).is_err());
        assert!(cumulative(&point(-1, 0, &vec![1; 1000])).is_err());
    }
}
