//! Queries: an expression at one time, or at each step of a range.

use super::ast::{Expression, Type};
use super::error::Error;
use super::evaluate::{Computed, Evaluator, Series, Steps};
use super::labels::METRIC_NAME;
use super::limits::{Limits, Meter};
use super::parse;
use super::select::{Matcher, Sample, Select, Selected, Test};
use super::value::{Element, Value};
use onefold_core::Clock;

/// A checked expression, ready to be evaluated as often as wanted.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    expression: Expression,
}

impl Query {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place of the mistake.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { text: text.to_owned(), expression: parse::parse(text)? })
    }

    /// The expression's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it gives a scalar or an instant vector, as rules and ranges need it.
    pub(crate) fn is_instant(&self) -> bool {
        matches!(self.expression.gives(), Type::Scalar | Type::Vector)
    }

    /// What the expression asks for, if it is a selector alone.
    pub(crate) fn selector(&self) -> Option<Vec<Matcher>> {
        self.expression.as_selector().map(|selector| selector.matchers.clone())
    }

    /// What the expression's selectors ask for.
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        self.expression.selectors().into_iter().map(|selector| selector.matchers.clone()).collect()
    }

    /// The names of all metrics that the expression selects by `=`.
    pub fn metric_names(&self) -> Vec<String> {
        let named = |matcher: Matcher| match matcher.test {
            Test::Equal(name) if matcher.name == METRIC_NAME => Some(name),
            _ => None,
        };
        self.selectors().into_iter().flatten().filter_map(named).collect()
    }

    /// The value at one time. Blocks: reading and computing may take up to the limits' timeout.
    pub fn at(&self, source: &dyn Select, at_ms: i64, limits: Limits, clock: &Clock) -> Result<Value, Error> {
        let meter = Meter::new(limits, clock);
        let steps = Steps::one(at_ms);
        let evaluator = Evaluator { source, meter: &meter, steps, query: steps };
        let value = match self.expression.gives() {
            Type::Text => Value::Text(at_ms, self.expression.text().unwrap_or_default().to_owned()),
            Type::Range => Value::Matrix(in_order(evaluator.matrix(&self.expression)?)),
            Type::Scalar | Type::Vector => match evaluator.evaluate(&self.expression)? {
                Computed::Scalar(values) => {
                    Value::Scalar(Sample { at_ms, value: values.first().copied().unwrap_or(f64::NAN) })
                }
                Computed::Vector(series) => Value::Vector(elements(series, at_ms)),
            },
        };
        bounded(value, limits)
    }

    /// The values at `start_ms`, `start_ms + step_ms`, … up to `end_ms`: always a matrix.
    pub fn range(
        &self,
        source: &dyn Select,
        range: Range,
        limits: Limits,
        clock: &Clock,
    ) -> Result<Value, Error> {
        let steps = range.steps(limits)?;
        if !self.is_instant() {
            let found = self.expression.gives().words();
            let problem = format!("a range query needs a scalar or an instant vector, not {found}");
            return Err(Error::at(&self.text, self.expression.at, problem));
        }
        let meter = Meter::new(limits, clock);
        let evaluator = Evaluator { source, meter: &meter, steps, query: steps };
        let series = match evaluator.evaluate(&self.expression)? {
            Computed::Scalar(values) => vec![Series::constant(values)],
            Computed::Vector(series) => series,
        };
        let pairs = series.into_iter().map(|series| series.sampled(steps));
        bounded(Value::Matrix(in_order(pairs.filter(|series| !series.samples.is_empty()).collect())), limits)
    }
}

/// The times of a range query, in milliseconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first step.
    pub start_ms: i64,
    /// No step lies behind it.
    pub end_ms: i64,
    /// From step to step.
    pub step_ms: i64,
}

impl Range {
    fn steps(self, limits: Limits) -> Result<Steps, Error> {
        let Self { start_ms, end_ms, step_ms } = self;
        if step_ms <= 0 {
            return Err(Error::Execution("the step is zero or negative: give one above 0".to_owned()));
        }
        if end_ms < start_ms {
            return Err(Error::Execution("the end lies before the start".to_owned()));
        }
        let steps = Steps { start_ms, end_ms, step_ms };
        if steps.count() > limits.steps_max {
            return Err(Error::TooLarge(format!(
                "exceeded maximum resolution of {} points per timeseries: widen the step or narrow the range",
                limits.steps_max
            )));
        }
        Ok(steps)
    }
}

fn elements(series: Vec<Series>, at_ms: i64) -> Vec<Element> {
    series
        .into_iter()
        .filter_map(|Series { labels, values }| {
            let value = values.first().copied().flatten()?;
            Some(Element { labels, sample: Sample { at_ms, value } })
        })
        .collect()
}

fn in_order(mut series: Vec<Selected>) -> Vec<Selected> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

fn bounded(value: Value, limits: Limits) -> Result<Value, Error> {
    let points = match &value {
        Value::Scalar(_) | Value::Text(..) => 1,
        Value::Vector(elements) => elements.len(),
        Value::Matrix(series) => series.iter().map(|series| series.samples.len()).sum(),
    };
    if points > limits.points_max {
        return Err(Error::TooLarge(format!(
            "the answer has {points} points, and may have {}: aggregate, or widen the step",
            limits.points_max
        )));
    }
    Ok(value)
}
