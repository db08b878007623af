//! Values at the steps of a query.

use crate::collect::promql::error::Error;
use crate::collect::promql::labels::Labels;
use crate::collect::promql::select::{Sample, Selected};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The times that a query asks for, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit stands last in every name")]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
}

impl Steps {
    pub(crate) fn one(at_ms: i64) -> Self {
        Self { start_ms: at_ms, end_ms: at_ms, step_ms: 1 }
    }

    pub(crate) fn count(self) -> usize {
        let between = self.end_ms.saturating_sub(self.start_ms);
        if between < 0 { 0 } else { usize::try_from(between / self.step_ms).map_or(usize::MAX, |n| n + 1) }
    }

    pub(crate) fn times(self) -> impl Iterator<Item = i64> + Clone {
        let step = usize::try_from(self.step_ms).unwrap_or(usize::MAX);
        (self.start_ms..=self.end_ms).step_by(step)
    }
}

/// What a node of the tree gives: a value at each step.
#[derive(Clone, Debug)]
pub(crate) enum Computed {
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
}

/// A series with a value at each step, where it has one.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Option<f64>>,
}

impl Series {
    pub(crate) fn constant(values: Vec<f64>) -> Self {
        Self { labels: Labels::empty(), values: values.into_iter().map(Some).collect() }
    }

    pub(crate) fn nameless(self) -> Self {
        Self { labels: self.labels.without_name(), values: self.values }
    }

    /// Each value replaced, or dropped by `None`; `change` is told the step.
    pub(crate) fn mapped(mut self, change: impl Fn(usize, f64) -> Option<f64>) -> Self {
        for (step, value) in self.values.iter_mut().enumerate() {
            *value = value.and_then(|value| change(step, value));
        }
        self
    }

    /// The values as samples at the times of the steps.
    pub(crate) fn sampled(self, steps: Steps) -> Selected {
        let pairs = steps.times().zip(self.values);
        let samples = pairs.filter_map(|(at_ms, value)| Some(Sample { at_ms, value: value? })).collect();
        Selected { labels: self.labels, samples }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// The series by their labels. Two that became the same, as by dropping their names, are one if they never have
/// a value at the same step.
pub(crate) fn distinct(series: impl Iterator<Item = Series>) -> Result<Vec<Series>, Error> {
    let mut kept: Vec<Series> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for series in series.filter(|series| !series.is_empty()) {
        match places.entry(series.labels.clone()) {
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(series);
            }
            Entry::Occupied(place) => {
                for (into, from) in kept[*place.get()].values.iter_mut().zip(&series.values) {
                    if into.is_some() && from.is_some() {
                        let labels = &series.labels;
                        return Err(Error::Execution(format!(
                            "vector cannot contain metrics with the same labelset: {labels} is there twice"
                        )));
                    }
                    *into = into.or(*from);
                }
            }
        }
    }
    Ok(kept)
}
