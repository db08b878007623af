//! Evaluates an expression at all steps of a query at once: every node gives its values at every step, so that
//! each series is read once.

mod aggregate;
mod binary;
mod call;
mod histogram;
mod relabel;
mod selector;
mod series;

use super::ast::{Expression, Kind, Pin, Shift};
use super::error::Error;
use super::limits::Meter;
use super::select::Select;
use series::distinct;
pub(crate) use series::{Computed, Series, Steps};

/// How far back an instant selector looks for a sample.
pub(crate) const LOOKBACK_MS: i64 = 5 * 60_000;

/// The step of a subquery that names none: Prometheus' default interval of evaluation.
const SUBQUERY_STEP_MS: i64 = 60_000;

pub(crate) struct Evaluator<'a> {
    pub(crate) source: &'a dyn Select,
    pub(crate) meter: &'a Meter,
    /// The steps that are evaluated; a subquery has its own.
    pub(crate) steps: Steps,
    /// The whole query, which `start()` and `end()` mean.
    pub(crate) query: Steps,
}

impl Evaluator<'_> {
    pub(crate) fn evaluate(&self, expression: &Expression) -> Result<Computed, Error> {
        match &expression.kind {
            Kind::Number(number) => Ok(Computed::Scalar(vec![*number; self.steps.count()])),
            Kind::Vector(selector) => Ok(Computed::Vector(self.instant(selector)?)),
            Kind::Negate(inner) => match self.evaluate(inner)? {
                Computed::Scalar(values) => Ok(Computed::Scalar(values.into_iter().map(|v| -v).collect())),
                Computed::Vector(series) => {
                    let negated = series.into_iter().map(|series| series.nameless().mapped(|_, v| Some(-v)));
                    Ok(Computed::Vector(distinct(negated)?))
                }
            },
            Kind::Binary(binary) => self.binary(binary),
            Kind::Aggregate(aggregate) => Ok(Computed::Vector(self.aggregate(aggregate)?)),
            Kind::Call { function, arguments } => self.call(function, arguments),
            Kind::Text(_) | Kind::Matrix { .. } | Kind::Subquery(_) => {
                // The parser lets these stand only where they are handled.
                Err(Error::Execution("a text or range vector stands where a value is needed".to_owned()))
            }
        }
    }

    fn vector(&self, expression: &Expression) -> Result<Vec<Series>, Error> {
        match self.evaluate(expression)? {
            Computed::Vector(series) => Ok(series),
            Computed::Scalar(values) => Ok(vec![Series::constant(values)]),
        }
    }

    fn scalar(&self, expression: &Expression) -> Result<Vec<f64>, Error> {
        match self.evaluate(expression)? {
            Computed::Scalar(values) => Ok(values),
            Computed::Vector(_) => {
                Err(Error::Execution("a vector stands where a scalar is needed".to_owned()))
            }
        }
    }

    /// The time that a selector means at a step.
    fn shifted(&self, step_ms: i64, shift: &Shift) -> i64 {
        let base = match shift.pin {
            None => step_ms,
            Some(Pin::AtMs(at_ms)) => at_ms,
            Some(Pin::Start) => self.query.start_ms,
            Some(Pin::End) => self.query.end_ms,
        };
        base.saturating_sub(shift.offset_ms.unwrap_or(0))
    }
}
