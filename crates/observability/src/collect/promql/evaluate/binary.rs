//! Operators between scalars and vectors, with the matching of series.

use super::{Computed, Evaluator, Series, distinct};
use crate::collect::promql::ast::{Binary, Group, Labelled, Matching, Operator};
use crate::collect::promql::error::Error;
use crate::collect::promql::labels::Labels;
use std::collections::HashMap;

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary) -> Result<Computed, Error> {
        let (left, right) = (self.evaluate(&binary.left)?, self.evaluate(&binary.right)?);
        match (left, right) {
            (Computed::Scalar(left), Computed::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Ok(Computed::Scalar(pairs.map(|(l, r)| between_scalars(binary.operator, l, r)).collect()))
            }
            (Computed::Vector(series), Computed::Scalar(values)) => {
                with_scalar(binary, series, |step, value| (value, values[step]))
            }
            (Computed::Scalar(values), Computed::Vector(series)) => {
                with_scalar(binary, series, |step, value| (values[step], value))
            }
            (Computed::Vector(left), Computed::Vector(right)) => {
                let series = if binary.operator.is_set() {
                    self.set_operation(binary, left, right)?
                } else {
                    self.between_vectors(binary, left, right)?
                };
                Ok(Computed::Vector(series))
            }
        }
    }

    fn set_operation(
        &self,
        binary: &Binary,
        left: Vec<Series>,
        right: Vec<Series>,
    ) -> Result<Vec<Series>, Error> {
        let steps = self.steps.count();
        let presence = |series: &[Series]| {
            let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
            for series in series {
                let there = present
                    .entry(signature(&series.labels, &binary.matching))
                    .or_insert_with(|| vec![false; steps]);
                there.iter_mut().zip(&series.values).for_each(|(there, value)| *there |= value.is_some());
            }
            present
        };
        let filtered = |series: Series, present: &HashMap<Labels, Vec<bool>>, wanted: bool| {
            let there = present.get(&signature(&series.labels, &binary.matching));
            series.mapped(|step, value| (there.is_some_and(|there| there[step]) == wanted).then_some(value))
        };
        match binary.operator {
            Operator::And => {
                let present = presence(&right);
                distinct(left.into_iter().map(|series| filtered(series, &present, true)))
            }
            Operator::Unless => {
                let present = presence(&right);
                distinct(left.into_iter().map(|series| filtered(series, &present, false)))
            }
            _ => {
                let present = presence(&left);
                let added = right.into_iter().map(|series| filtered(series, &present, false));
                distinct(left.iter().cloned().chain(added))
            }
        }
    }

    fn between_vectors(
        &self,
        binary: &Binary,
        left: Vec<Series>,
        right: Vec<Series>,
    ) -> Result<Vec<Series>, Error> {
        // The "one" side is looked up; `group_right` has it on the left.
        let swapped = binary.matching.group == Group::Right;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let index = OneSide::new(binary, &one, self.steps.count())?;
        let mut results: Vec<Series> = Vec::new();
        let mut answered: HashMap<Labels, Vec<bool>> = HashMap::new();
        for series in &many {
            let key = signature(&series.labels, &binary.matching);
            let Some(partners) = index.of.get(&key) else { continue };
            for partner in partners {
                self.meter.samples(self.steps.count())?;
                let values = paired(binary, series, &one[*partner], swapped);
                if values.iter().all(Option::is_none) {
                    continue;
                }
                if binary.matching.group == Group::OneToOne {
                    once_each(
                        answered.entry(key.clone()).or_insert_with(|| vec![false; values.len()]),
                        &values,
                    )?;
                }
                let labels = result_labels(binary, &series.labels, &one[*partner].labels);
                results.push(Series { labels, values });
            }
        }
        distinct(results.into_iter()).map_err(|error| match binary.matching.group {
            Group::OneToOne => error,
            _ => Error::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
            ),
        })
    }
}

/// The side of which at most one series may match, by its matching labels.
struct OneSide {
    of: HashMap<Labels, Vec<usize>>,
}

impl OneSide {
    fn new(binary: &Binary, one: &[Series], steps: usize) -> Result<Self, Error> {
        let mut of: HashMap<Labels, Vec<usize>> = HashMap::new();
        let mut taken: HashMap<Labels, Vec<bool>> = HashMap::new();
        for (i, series) in one.iter().enumerate() {
            let key = signature(&series.labels, &binary.matching);
            let taken = taken.entry(key.clone()).or_insert_with(|| vec![false; steps]);
            let places = of.entry(key.clone()).or_default();
            for (taken, value) in taken.iter_mut().zip(&series.values) {
                if *taken && value.is_some() {
                    let side = if binary.matching.group == Group::Right { "left" } else { "right" };
                    let other = &one[places[0]].labels;
                    return Err(Error::Execution(format!(
                        "found duplicate series for the match group {key} on the {side} hand-side of the operation: \
                         [{}, {other}]; many-to-many matching not allowed: matching labels must be unique on one side",
                        series.labels
                    )));
                }
                *taken |= value.is_some();
            }
            places.push(i);
        }
        Ok(Self { of })
    }
}

fn once_each(answered: &mut [bool], values: &[Option<f64>]) -> Result<(), Error> {
    for (answered, value) in answered.iter_mut().zip(values) {
        if *answered && value.is_some() {
            let problem =
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(Error::Execution(problem.to_owned()));
        }
        *answered |= value.is_some();
    }
    Ok(())
}

fn paired(binary: &Binary, many: &Series, one: &Series, swapped: bool) -> Vec<Option<f64>> {
    let pairs = many.values.iter().zip(&one.values);
    pairs
        .map(|(many, one)| {
            let (many, one) = ((*many)?, (*one)?);
            let (left, right) = if swapped { (one, many) } else { (many, one) };
            result(binary, left, right, left)
        })
        .collect()
}

/// The labels that decide which series belong together.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    match &matching.labels {
        Labelled::On(names) => labels.keep(names),
        Labelled::Ignoring(names) => labels.without(names),
    }
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let keeps_name = binary.operator.is_comparison() && !binary.answers_bool;
    let mut labels = if keeps_name { many.clone() } else { many.without_name() };
    if binary.matching.group == Group::OneToOne {
        labels = match &binary.matching.labels {
            Labelled::On(names) => labels.keep(names),
            Labelled::Ignoring(names) => names.iter().fold(labels, |labels, name| labels.with(name, "")),
        };
    }
    binary.matching.include.iter().fold(labels, |labels, name| labels.with(name, one.get(name)))
}

fn with_scalar(
    binary: &Binary,
    series: Vec<Series>,
    sides: impl Fn(usize, f64) -> (f64, f64),
) -> Result<Computed, Error> {
    let keeps_name = binary.operator.is_comparison() && !binary.answers_bool;
    let computed = series.into_iter().map(|series| {
        let series = if keeps_name { series } else { series.nameless() };
        series.mapped(|step, value| {
            let (left, right) = sides(step, value);
            result(binary, left, right, value)
        })
    });
    Ok(Computed::Vector(distinct(computed)?))
}

/// What stands at a step: a filter keeps `kept` where the comparison holds.
fn result(binary: &Binary, left: f64, right: f64, kept: f64) -> Option<f64> {
    let value = between_scalars(binary.operator, left, right);
    if !binary.operator.is_comparison() || binary.answers_bool {
        Some(value)
    } else {
        (value > 0.0).then_some(kept)
    }
}

#[expect(clippy::float_cmp, reason = "PromQL's == is exact")]
fn between_scalars(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        Operator::Atan2 => left.atan2(right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Greater => truth(left > right),
        Operator::Less => truth(left < right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::LessOrEqual => truth(left <= right),
        // Between vectors only, by their presence.
        Operator::And | Operator::Or | Operator::Unless => f64::NAN,
    }
}
