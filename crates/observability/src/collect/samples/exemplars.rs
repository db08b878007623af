//! Exemplars: single measurements that lead to their traces. Kept in memory, the newest; a restart loses them, as
//! the traces that they lead to become old anyway.

use crate::collect::promql::{Labels, Matcher, Sample, format_value, seconds};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Prometheus' form: `{"labels": {…}, "value": "…", "timestamp": seconds}`.
impl Serialize for Exemplar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Exemplar", 3)?;
        object.serialize_field("labels", &self.labels)?;
        object.serialize_field("value", &format_value(self.sample.value))?;
        object.serialize_field("timestamp", &seconds(self.sample.at_ms))?;
        object.end()
    }
}

/// How many are kept: an hour of a small system's, some 300 bytes each.
const KEPT_MAX: usize = 20_000;

/// A measurement and where it was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// `trace_id`, `span_id`, and attributes that the series lacks.
    pub labels: Labels,
    /// The value that was measured, and when.
    pub sample: Sample,
}

#[derive(Debug, Default)]
pub(super) struct Exemplars {
    all: VecDeque<(Labels, Exemplar)>,
    newest_ms: HashMap<Labels, i64>,
}

impl Exemplars {
    /// Keeps one, unless it was there: senders repeat their last one with each request.
    pub(super) fn keep(&mut self, series: Labels, exemplar: Exemplar) {
        let newest_ms = self.newest_ms.entry(series.clone()).or_insert(i64::MIN);
        if exemplar.sample.at_ms <= *newest_ms {
            return;
        }
        *newest_ms = exemplar.sample.at_ms;
        self.all.push_back((series, exemplar));
        if self.all.len() > KEPT_MAX
            && let Some((series, oldest)) = self.all.pop_front()
            && self.newest_ms.get(&series) == Some(&oldest.sample.at_ms)
        {
            self.newest_ms.remove(&series);
        }
    }

    /// The exemplars of the series that any of the selectors wants, by series, in the order of arrival.
    pub(super) fn select(
        &self,
        wanted: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> BTreeMap<Labels, Vec<Exemplar>> {
        let fits = |series: &Labels| {
            let all = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.accepts(series.get(&m.name)));
            wanted.iter().any(all)
        };
        let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for (series, exemplar) in &self.all {
            if (start_ms..=end_ms).contains(&exemplar.sample.at_ms) && fits(series) {
                found.entry(series.clone()).or_default().push(exemplar.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_a_repeated_one_counts_once() {
        let mut exemplars = Exemplars::default();
        let series = |name: &str| Labels::new([("__name__", name)]);
        let exemplar = |at_ms| Exemplar { labels: Labels::empty(), sample: Sample { at_ms, value: 1.0 } };
        exemplars.keep(series("a"), exemplar(1));
        exemplars.keep(series("a"), exemplar(1));
        let of = |exemplars: &Exemplars, name: &str| {
            let wanted = [vec![Matcher::equal("__name__", name)]];
            exemplars.select(&wanted, 0, i64::MAX).values().map(Vec::len).sum::<usize>()
        };
        assert_eq!(of(&exemplars, "a"), 1);
        (0..20_000).for_each(|i| exemplars.keep(series("b"), exemplar(i)));
        assert_eq!((of(&exemplars, "a"), of(&exemplars, "b")), (0, KEPT_MAX));
    }
}
