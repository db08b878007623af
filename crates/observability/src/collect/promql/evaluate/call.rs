//! Calls of functions.

use super::selector::Ranges;
use super::{Computed, Evaluator, Series, distinct};
use crate::collect::promql::ast::{Expression, Kind, Type};
use crate::collect::promql::error::Error;
use crate::collect::promql::function::{Function, Run, Special};
use crate::collect::promql::labels::{Labels, METRIC_NAME};
use crate::collect::promql::number::seconds;
use crate::collect::promql::over_time::Window;
use crate::collect::promql::select::{Matcher, Test};
use crate::collect::promql::{calendar, math};

impl Evaluator<'_> {
    pub(super) fn call(&self, function: &Function, arguments: &[Expression]) -> Result<Computed, Error> {
        let series = match function.run {
            Run::Each(run) => {
                let scalars = self.scalars(arguments)?;
                let changed = self
                    .vector(&arguments[0])?
                    .into_iter()
                    .map(|series| series.nameless().mapped(|step, value| run(value, &scalars.at(step))));
                distinct(changed)?
            }
            Run::Window(run) => distinct(self.over_time(arguments, run)?.into_iter().map(Series::nameless))?,
            Run::NamedWindow(run) => distinct(self.over_time(arguments, run)?.into_iter())?,
            Run::Calendar(run) => {
                let of = match arguments.first() {
                    Some(argument) => self.vector(argument)?,
                    None => vec![Series::constant(self.now())],
                };
                let at = |value| Some(calendar::time(value).map_or(f64::NAN, |time| run(&time)));
                distinct(of.into_iter().map(|series| series.nameless().mapped(|_, value| at(value))))?
            }
            Run::Special(special) => return self.special(special, arguments),
        };
        Ok(Computed::Vector(series))
    }

    fn over_time(
        &self,
        arguments: &[Expression],
        run: fn(&Window<'_>, &[f64]) -> Option<f64>,
    ) -> Result<Vec<Series>, Error> {
        let scalars = self.scalars(arguments)?;
        let ranges = self.range_argument(arguments)?;
        self.windows(&ranges, |step, window| run(window, &scalars.at(step)))
    }

    fn range_argument(&self, arguments: &[Expression]) -> Result<Ranges, Error> {
        let range = arguments.iter().find(|argument| argument.gives() == Type::Range);
        self.ranges(range.ok_or_else(|| Error::Execution("a range vector is needed".to_owned()))?)
    }

    fn scalars(&self, arguments: &[Expression]) -> Result<Scalars, Error> {
        let scalars = arguments.iter().filter(|argument| argument.gives() == Type::Scalar);
        Ok(Scalars(scalars.map(|argument| self.scalar(argument)).collect::<Result<_, _>>()?))
    }

    fn special(&self, special: Special, arguments: &[Expression]) -> Result<Computed, Error> {
        let series = match special {
            Special::Pi => return Ok(Computed::Scalar(vec![std::f64::consts::PI; self.steps.count()])),
            Special::Time => return Ok(Computed::Scalar(self.now())),
            Special::Scalar => return Ok(Computed::Scalar(self.only_value(&arguments[0])?)),
            Special::Vector => vec![Series::constant(self.scalar(&arguments[0])?)],
            Special::Absent => {
                let present = self.vector(&arguments[0])?;
                self.absent(&arguments[0], &present)
            }
            Special::AbsentOverTime => {
                let ranges = self.ranges(&arguments[0])?;
                let present = self.windows(&ranges, |_, _| Some(1.0))?;
                self.absent(&arguments[0], &present)
            }
            Special::Sort => sorted(self.vector(&arguments[0])?, false),
            Special::SortDescending => sorted(self.vector(&arguments[0])?, true),
            Special::Timestamp => self.timestamp(&arguments[0])?,
            Special::HistogramQuantile => self.histogram_quantile(&arguments[0], &arguments[1])?,
            Special::LabelReplace => self.label_replace(arguments)?,
            Special::LabelJoin => self.label_join(arguments)?,
        };
        Ok(Computed::Vector(series))
    }

    fn now(&self) -> Vec<f64> {
        self.steps.times().map(seconds).collect()
    }

    fn only_value(&self, of: &Expression) -> Result<Vec<f64>, Error> {
        let series = self.vector(of)?;
        let at = |step: usize| {
            let mut values = series.iter().filter_map(|series| series.values[step]);
            match (values.next(), values.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        };
        Ok((0..self.steps.count()).map(at).collect())
    }

    /// 1 where nothing is, with the labels that the selector asks for.
    fn absent(&self, of: &Expression, present: &[Series]) -> Vec<Series> {
        let labels = match &of.kind {
            Kind::Vector(selector) | Kind::Matrix { selector, .. } => asked_labels(&selector.matchers),
            _ => Labels::empty(),
        };
        let values = self.any_present(present).into_iter().map(|there| (!there).then_some(1.0)).collect();
        Some(Series { labels, values }).into_iter().filter(|series| !series.is_empty()).collect()
    }

    fn timestamp(&self, of: &Expression) -> Result<Vec<Series>, Error> {
        let series = if let Kind::Vector(selector) = &of.kind {
            self.instant_times(selector)?
        } else {
            let now = self.now();
            self.vector(of)?.into_iter().map(|series| series.mapped(|step, _| Some(now[step]))).collect()
        };
        distinct(series.into_iter().map(Series::nameless))
    }
}

/// The scalar arguments of a call, each with a value at each step.
struct Scalars(Vec<Vec<f64>>);

impl Scalars {
    fn at(&self, step: usize) -> Vec<f64> {
        self.0.iter().map(|values| values[step]).collect()
    }
}

/// The labels that a selector pins to one value; one that it names twice is not pinned.
fn asked_labels(matchers: &[Matcher]) -> Labels {
    let once = |name: &str| matchers.iter().filter(|matcher| matcher.name == name).take(2).count() == 1;
    let pairs = matchers.iter().filter_map(|matcher| match &matcher.test {
        Test::Equal(value) if matcher.name != METRIC_NAME && once(&matcher.name) => {
            Some((matcher.name.as_str(), value.as_str()))
        }
        _ => None,
    });
    Labels::new(pairs)
}

/// By value, NaN last in both directions. Over a range the order is that of the labels, as everywhere.
fn sorted(mut series: Vec<Series>, descending: bool) -> Vec<Series> {
    let value = |series: &Series| match series.values.as_slice() {
        [Some(value)] => *value,
        _ => f64::NAN,
    };
    series.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => math::nan_first(b, a),
            (false, false) => math::nan_first(a, b),
            (a_nan, b_nan) => a_nan.cmp(&b_nan),
        }
    });
    series
}
