//! `histogram_quantile` over classic histograms: counters with a label `le`.

use super::{Evaluator, Series};
use crate::collect::promql::ast::Expression;
use crate::collect::promql::error::Error;
use crate::collect::promql::labels::Labels;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    count: f64,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(
        &self,
        share: &Expression,
        of: &Expression,
    ) -> Result<Vec<Series>, Error> {
        let shares = self.scalar(share)?;
        let mut groups: Vec<(Labels, Vec<(f64, Series)>)> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for series in self.vector(of)? {
            let Some(upper) = bound(series.labels.get("le")) else { continue };
            let labels = series.labels.without(&["le".to_owned()]);
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                groups.push((labels, Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push((upper, series));
        }
        let computed = groups.into_iter().map(|(labels, series)| {
            let at = |step: usize| {
                let buckets: Vec<Bucket> = series
                    .iter()
                    .filter_map(|(upper, series)| Some(Bucket { upper: *upper, count: series.values[step]? }))
                    .collect();
                (!buckets.is_empty()).then(|| quantile(shares[step], buckets))
            };
            Series { labels, values: (0..self.steps.count()).map(at).collect() }
        });
        Ok(computed.filter(|series| !series.is_empty()).collect())
    }
}

/// A bound as Go's `ParseFloat` reads it, so that `+Inf` is one.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// The value below which a share of the observations lies, linear within its bucket.
fn quantile(share: f64, mut buckets: Vec<Bucket>) -> f64 {
    if share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(&mut buckets);
    make_monotonic(&mut buckets);
    let observations = buckets[buckets.len() - 1].count;
    if buckets.len() < 2 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let rank = share * observations;
    let finite = buckets.len() - 1;
    let found = buckets[..finite].partition_point(|bucket| bucket.count < rank);
    if found == finite {
        return buckets[finite - 1].upper;
    }
    let Bucket { upper, count } = buckets[found];
    if found == 0 {
        // Observations below a first bound of 0 or less have no lower bound to reckon from.
        return if upper <= 0.0 { upper } else { upper * (rank / count) };
    }
    let below = buckets[found - 1];
    below.upper + (upper - below.upper) * ((rank - below.count) / (count - below.count))
}

/// Buckets of one bound, as `le="1"` and `le="1.0"`, count together.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper.total_cmp(&kept.upper).is_eq();
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// A bucket never counts less than the one before it; scrapes at different times can make it seem so.
fn make_monotonic(buckets: &mut [Bucket]) {
    let mut most = f64::NEG_INFINITY;
    for bucket in buckets {
        most = most.max(bucket.count);
        bucket.count = most;
    }
}
