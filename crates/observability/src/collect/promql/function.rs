//! The functions of `PromQL`: what each takes and gives, and what computes it.

use super::ast::Type;
use super::{calendar, math, over_time};

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) takes: &'static [Type],
    /// How many of the last arguments may be left out.
    pub(crate) optional: usize,
    /// The last argument may be repeated.
    pub(crate) repeats: bool,
    pub(crate) gives: Type,
    pub(crate) run: Run,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// From each value of the vector, with the scalars; the metric's name is dropped.
    Each(fn(f64, &[f64]) -> Option<f64>),
    /// From the samples of each series in a window, with the scalars; the metric's name is dropped.
    Window(fn(&over_time::Window<'_>, &[f64]) -> Option<f64>),
    /// From a window, with the metric's name kept.
    NamedWindow(fn(&over_time::Window<'_>, &[f64]) -> Option<f64>),
    /// From a time in seconds; without an argument, from the time of evaluation.
    Calendar(fn(&calendar::Time) -> f64),
    /// What needs more than values.
    Special(Special),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    Scalar,
    Sort,
    SortDescending,
    Time,
    Timestamp,
    Vector,
}

const S: Type = Type::Scalar;
const V: Type = Type::Vector;
const R: Type = Type::Range;
const T: Type = Type::Text;

const fn each(name: &'static str, takes: &'static [Type], run: fn(f64, &[f64]) -> Option<f64>) -> Function {
    Function { name, takes, optional: 0, repeats: false, gives: V, run: Run::Each(run) }
}

const fn window(
    name: &'static str,
    takes: &'static [Type],
    run: fn(&over_time::Window<'_>, &[f64]) -> Option<f64>,
) -> Function {
    Function { name, takes, optional: 0, repeats: false, gives: V, run: Run::Window(run) }
}

const fn calendar(name: &'static str, run: fn(&calendar::Time) -> f64) -> Function {
    Function { name, takes: &[V], optional: 1, repeats: false, gives: V, run: Run::Calendar(run) }
}

const fn special(name: &'static str, takes: &'static [Type], gives: Type, which: Special) -> Function {
    Function { name, takes, optional: 0, repeats: false, gives, run: Run::Special(which) }
}

pub(crate) static FUNCTIONS: &[Function] = &[
    each("abs", &[V], |v, _| Some(v.abs())),
    each("acos", &[V], |v, _| Some(v.acos())),
    each("acosh", &[V], |v, _| Some(v.acosh())),
    each("asin", &[V], |v, _| Some(v.asin())),
    each("asinh", &[V], |v, _| Some(v.asinh())),
    each("atan", &[V], |v, _| Some(v.atan())),
    each("atanh", &[V], |v, _| Some(v.atanh())),
    each("ceil", &[V], |v, _| Some(v.ceil())),
    each("clamp", &[V, S, S], math::clamp),
    each("clamp_max", &[V, S], |v, with| Some(math::minimum(v, with[0]))),
    each("clamp_min", &[V, S], |v, with| Some(math::maximum(v, with[0]))),
    each("cos", &[V], |v, _| Some(v.cos())),
    each("cosh", &[V], |v, _| Some(v.cosh())),
    each("deg", &[V], |v, _| Some(v.to_degrees())),
    each("exp", &[V], |v, _| Some(v.exp())),
    each("floor", &[V], |v, _| Some(v.floor())),
    each("ln", &[V], |v, _| Some(v.ln())),
    each("log10", &[V], |v, _| Some(v.log10())),
    each("log2", &[V], |v, _| Some(v.log2())),
    each("rad", &[V], |v, _| Some(v.to_radians())),
    Function { optional: 1, ..each("round", &[V, S], math::round) },
    each("sgn", &[V], math::sign),
    each("sin", &[V], |v, _| Some(v.sin())),
    each("sinh", &[V], |v, _| Some(v.sinh())),
    each("sqrt", &[V], |v, _| Some(v.sqrt())),
    each("tan", &[V], |v, _| Some(v.tan())),
    each("tanh", &[V], |v, _| Some(v.tanh())),
    window("avg_over_time", &[R], over_time::average),
    window("changes", &[R], over_time::changes),
    window("count_over_time", &[R], over_time::count),
    window("delta", &[R], over_time::delta),
    window("deriv", &[R], over_time::deriv),
    window("idelta", &[R], over_time::idelta),
    window("increase", &[R], over_time::increase),
    window("irate", &[R], over_time::irate),
    window("max_over_time", &[R], over_time::maximum),
    window("min_over_time", &[R], over_time::minimum),
    window("predict_linear", &[R, S], over_time::predict_linear),
    window("present_over_time", &[R], |_, _| Some(1.0)),
    window("quantile_over_time", &[S, R], over_time::quantile),
    window("rate", &[R], over_time::rate),
    window("resets", &[R], over_time::resets),
    window("stddev_over_time", &[R], over_time::stddev),
    window("stdvar_over_time", &[R], over_time::stdvar),
    window("sum_over_time", &[R], over_time::sum),
    Function {
        run: Run::NamedWindow(|window, _| window.samples.last().map(|sample| sample.value)),
        ..window("last_over_time", &[R], over_time::sum)
    },
    calendar("day_of_month", calendar::day_of_month),
    calendar("day_of_week", calendar::day_of_week),
    calendar("day_of_year", calendar::day_of_year),
    calendar("days_in_month", calendar::days_in_month),
    calendar("hour", calendar::hour),
    calendar("minute", calendar::minute),
    calendar("month", calendar::month),
    calendar("year", calendar::year),
    special("absent", &[V], V, Special::Absent),
    special("absent_over_time", &[R], V, Special::AbsentOverTime),
    special("histogram_quantile", &[S, V], V, Special::HistogramQuantile),
    Function { repeats: true, ..special("label_join", &[V, T, T, T], V, Special::LabelJoin) },
    special("label_replace", &[V, T, T, T, T], V, Special::LabelReplace),
    special("pi", &[], S, Special::Pi),
    special("scalar", &[V], S, Special::Scalar),
    special("sort", &[V], V, Special::Sort),
    special("sort_desc", &[V], V, Special::SortDescending),
    special("time", &[], S, Special::Time),
    special("timestamp", &[V], V, Special::Timestamp),
    special("vector", &[S], V, Special::Vector),
];

/// Functions of Prometheus that are not there, so that the error can say so.
pub(crate) const UNSUPPORTED: [&str; 17] = [
    "double_exponential_smoothing",
    "first_over_time",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "holt_winters",
    "info",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "step",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

pub(crate) fn named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The words for a name that is no function.
pub(crate) fn unknown(name: &str) -> String {
    if UNSUPPORTED.contains(&name) {
        return format!("the function {name} is not supported");
    }
    let near = FUNCTIONS
        .iter()
        .map(|function| (strsim::damerau_levenshtein(function.name, name), function.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, near)) => format!("unknown function {name}: did you mean {near}?"),
        None => format!("unknown function {name}"),
    }
}
