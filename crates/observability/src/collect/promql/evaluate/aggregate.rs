//! Aggregations over series.

use super::{Computed, Evaluator, Series};
use crate::collect::promql::ast::{Aggregate, Aggregation, Expression, Grouping, Kind};
use crate::collect::promql::error::Error;
use crate::collect::promql::labels::{Labels, is_label_name};
use crate::collect::promql::math;
use crate::collect::promql::number::{count, format_value, whole};
use std::collections::HashMap;

/// Series that are aggregated together.
struct Members {
    labels: Labels,
    series: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate) -> Result<Vec<Series>, Error> {
        let series = self.vector(&aggregate.inner)?;
        let groups = grouped(&series, &aggregate.grouping);
        let parameter = match &aggregate.parameter {
            Some(Expression { kind: Kind::Text(label), .. }) => {
                return self.count_values(label, &series, groups);
            }
            Some(parameter) => match self.evaluate(parameter)? {
                Computed::Scalar(values) => values,
                Computed::Vector(_) => Vec::new(),
            },
            None => vec![f64::NAN; self.steps.count()],
        };
        if matches!(aggregate.operation, Aggregation::Topk | Aggregation::Bottomk) {
            return Ok(chosen(aggregate.operation, &parameter, &series, groups));
        }
        let mut computed = Vec::with_capacity(groups.len());
        for Members { labels, series: members } in groups {
            self.meter.samples(self.steps.count())?;
            let mut at_step = Vec::with_capacity(members.len());
            let values = parameter.iter().enumerate().map(|(step, parameter)| {
                at_step.clear();
                at_step.extend(members.iter().filter_map(|member| series[*member].values[step]));
                (!at_step.is_empty()).then(|| folded(aggregate.operation, *parameter, &at_step))
            });
            computed.push(Series { labels, values: values.collect() });
        }
        Ok(computed.into_iter().filter(|series| !series.is_empty()).collect())
    }

    fn count_values(
        &self,
        label: &str,
        series: &[Series],
        groups: Vec<Members>,
    ) -> Result<Vec<Series>, Error> {
        if !is_label_name(label) {
            return Err(Error::Execution(format!("invalid label name {label:?} in count_values()")));
        }
        let mut counted: Vec<Series> = Vec::new();
        for Members { labels, series: members } in groups {
            let mut places: HashMap<String, usize> = HashMap::new();
            for member in members {
                for (step, value) in series[member].values.iter().enumerate() {
                    let Some(value) = value else { continue };
                    let text = format_value(*value);
                    let place = if let Some(place) = places.get(&text) {
                        *place
                    } else {
                        self.meter.samples(self.steps.count())?;
                        let labels = labels.with(label, &text);
                        counted.push(Series { labels, values: vec![None; self.steps.count()] });
                        places.insert(text, counted.len() - 1);
                        counted.len() - 1
                    };
                    let so_far = &mut counted[place].values[step];
                    *so_far = Some(so_far.unwrap_or(0.0) + 1.0);
                }
            }
        }
        Ok(counted)
    }
}

fn grouped(series: &[Series], grouping: &Grouping) -> Vec<Members> {
    let mut groups: Vec<Members> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for (i, series) in series.iter().enumerate() {
        let labels = match grouping {
            Grouping::By(names) => series.labels.keep(names),
            Grouping::Without(names) => series.labels.without(names),
        };
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push(Members { labels: labels.clone(), series: Vec::new() });
            groups.len() - 1
        });
        groups[place].series.push(i);
    }
    groups
}

/// One value of at least one.
fn folded(operation: Aggregation, parameter: f64, values: &[f64]) -> f64 {
    let each = || values.iter().copied();
    match operation {
        Aggregation::Sum => math::sum(each()),
        Aggregation::Avg => math::mean(each()),
        // Of f64's own minimum and maximum, NaN comes only where nothing else is, as in Prometheus.
        Aggregation::Min => each().fold(f64::NAN, f64::min),
        Aggregation::Max => each().fold(f64::NAN, f64::max),
        Aggregation::Count => count(values.len()),
        Aggregation::Stddev => math::variance(each()).sqrt(),
        Aggregation::Stdvar => math::variance(each()),
        Aggregation::Quantile => math::quantile(parameter, values.to_vec()),
        Aggregation::Group | Aggregation::Topk | Aggregation::Bottomk | Aggregation::CountValues => 1.0,
    }
}

/// `topk` and `bottomk`: the series that are among the first of their group, at the steps where they are.
fn chosen(operation: Aggregation, parameter: &[f64], series: &[Series], groups: Vec<Members>) -> Vec<Series> {
    let mut kept: Vec<Series> = series
        .iter()
        .map(|series| Series { labels: series.labels.clone(), values: vec![None; parameter.len()] })
        .collect();
    let mut order = Vec::with_capacity(series.len());
    for Members { series: members, .. } in groups {
        for (step, wanted) in parameter.iter().enumerate() {
            let mut ranked: Vec<(f64, usize)> =
                members.iter().filter_map(|member| Some((series[*member].values[step]?, *member))).collect();
            ranked.sort_by(|(a, _), (b, _)| ranking(operation, *a, *b));
            ranked.truncate(whole(*wanted));
            for (value, member) in &ranked {
                kept[*member].values[step] = Some(*value);
            }
            if parameter.len() == 1 {
                order.extend(ranked.into_iter().map(|(_, member)| member));
            }
        }
    }
    if parameter.len() == 1 {
        // An instant query shows them by rank.
        return order.into_iter().map(|member| kept[member].clone()).collect();
    }
    kept.into_iter().filter(|series| !series.is_empty()).collect()
}

/// Best first; NaN is worse than everything.
fn ranking(operation: Aggregation, a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if operation == Aggregation::Topk => math::nan_first(b, a),
        (false, false) => math::nan_first(a, b),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    }
}
