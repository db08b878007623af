//! Reads what selectors and subqueries mean.
//!
//! Windows are open on the left, as in Prometheus 3: a sample at the very start of a range belongs to the range
//! before it.

use super::{Computed, Evaluator, LOOKBACK_MS, SUBQUERY_STEP_MS, Series, Steps};
use crate::collect::promql::ast::{Expression, Kind, Selector, Shift, Subquery};
use crate::collect::promql::error::Error;
use crate::collect::promql::number::seconds;
use crate::collect::promql::over_time::Window;
use crate::collect::promql::select::{Matcher, Sample, Selected, is_stale};

/// The samples of a range vector, with what cuts them into windows.
pub(super) struct Ranges {
    pub(super) series: Vec<Selected>,
    range_ms: i64,
    shift: Shift,
}

impl Evaluator<'_> {
    /// The last value of each series at each step.
    pub(super) fn instant(&self, selector: &Selector) -> Result<Vec<Series>, Error> {
        self.latest(selector, |sample| sample.value)
    }

    /// The time of the last value of each series at each step, in seconds.
    pub(super) fn instant_times(&self, selector: &Selector) -> Result<Vec<Series>, Error> {
        self.latest(selector, |sample| seconds(sample.at_ms))
    }

    fn latest(&self, selector: &Selector, of: impl Fn(&Sample) -> f64) -> Result<Vec<Series>, Error> {
        let selected = self.select(&selector.matchers, &selector.shift, LOOKBACK_MS)?;
        let mut found = Vec::with_capacity(selected.len());
        for Selected { labels, samples } in selected {
            self.meter.samples(self.steps.count())?;
            let mut seen = 0;
            let latest = |step_ms| {
                let at_ms = self.shifted(step_ms, &selector.shift);
                while samples.get(seen).is_some_and(|sample| sample.at_ms <= at_ms) {
                    seen += 1;
                }
                let last = samples[..seen].last()?;
                (last.at_ms > at_ms - LOOKBACK_MS && !is_stale(last.value)).then(|| of(last))
            };
            let series = Series { values: self.steps.times().map(latest).collect(), labels };
            if !series.is_empty() {
                found.push(series);
            }
        }
        Ok(found)
    }

    fn select(&self, matchers: &[Matcher], shift: &Shift, back_ms: i64) -> Result<Vec<Selected>, Error> {
        let start_ms = self.shifted(self.steps.start_ms, shift).saturating_sub(back_ms).saturating_add(1);
        let end_ms = self.shifted(self.steps.end_ms, shift);
        self.source.select(matchers, start_ms, end_ms, self.meter)
    }

    /// The samples that a range vector needs at any step.
    pub(super) fn ranges(&self, expression: &Expression) -> Result<Ranges, Error> {
        match &expression.kind {
            Kind::Matrix { selector, range_ms } => {
                let mut series = self.select(&selector.matchers, &selector.shift, *range_ms)?;
                for series in &mut series {
                    series.samples.retain(|sample| !is_stale(sample.value));
                }
                Ok(Ranges { series, range_ms: *range_ms, shift: selector.shift })
            }
            Kind::Subquery(subquery) => Ok(Ranges {
                series: self.subquery(subquery)?,
                range_ms: subquery.range_ms,
                shift: subquery.shift,
            }),
            _ => Err(Error::Execution("a range vector is needed".to_owned())),
        }
    }

    fn subquery(&self, subquery: &Subquery) -> Result<Vec<Selected>, Error> {
        let step_ms = subquery.step_ms.unwrap_or(SUBQUERY_STEP_MS);
        let from_ms = self.shifted(self.steps.start_ms, &subquery.shift).saturating_sub(subquery.range_ms);
        // Its steps are multiples of the step, so that they do not move with the query's.
        let start_ms = (from_ms.div_euclid(step_ms) + 1).saturating_mul(step_ms);
        let end_ms = self.shifted(self.steps.end_ms, &subquery.shift);
        let steps = Steps { start_ms, end_ms, step_ms };
        self.meter.samples(steps.count())?;
        let inner = Evaluator { source: self.source, meter: self.meter, steps, query: self.query };
        let series = match inner.evaluate(&subquery.inner)? {
            Computed::Scalar(values) => vec![Series::constant(values)],
            Computed::Vector(series) => series,
        };
        Ok(series.into_iter().map(|series| series.sampled(steps)).collect())
    }

    /// A value from each window of each series.
    pub(super) fn windows(
        &self,
        ranges: &Ranges,
        value: impl Fn(usize, &Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Series>, Error> {
        let mut computed = Vec::with_capacity(ranges.series.len());
        for Selected { labels, samples } in &ranges.series {
            self.meter.samples(self.steps.count())?;
            let (mut from, mut to) = (0, 0);
            let at_step = |(step, now_ms)| {
                let end_ms = self.shifted(now_ms, &ranges.shift);
                let start_ms = end_ms - ranges.range_ms;
                while samples.get(to).is_some_and(|sample| sample.at_ms <= end_ms) {
                    to += 1;
                }
                while samples.get(from).is_some_and(|sample| sample.at_ms <= start_ms) {
                    from += 1;
                }
                let samples = samples.get(from..to).filter(|samples| !samples.is_empty())?;
                value(step, &Window { samples, start_ms, end_ms, now_ms })
            };
            let values = self.steps.times().enumerate().map(at_step).collect();
            computed.push(Series { labels: labels.clone(), values });
        }
        Ok(computed)
    }

    /// For each step, whether any series has a sample in its window.
    pub(super) fn any_present(&self, series: &[Series]) -> Vec<bool> {
        let at = |step: usize| series.iter().any(|series| series.values[step].is_some());
        (0..self.steps.count()).map(at).collect()
    }

    /// The range vector itself, as an instant query may ask for it.
    pub(crate) fn matrix(&self, expression: &Expression) -> Result<Vec<Selected>, Error> {
        Ok(self.ranges(expression)?.series.into_iter().filter(|series| !series.samples.is_empty()).collect())
    }
}
