//! A subset of `PromQL`, with exactly Prometheus' meaning: the same names, the same extrapolation, the same rules
//! of matching. It knows no store: samples come through [`Select`].
//!
//! There: instant and range selectors with `offset` and `@`, subqueries, all operators with their matching, all
//! aggregations, and the functions over counters, gauges, classic histograms, labels and the calendar. Not
//! there: native histograms, the experimental functions, and durations as numbers; each is refused by name and
//! place. Windows are open on the left, as in Prometheus 3.

mod ast;
mod calendar;
mod duration;
mod error;
mod evaluate;
mod function;
mod labels;
mod lex;
mod limits;
mod math;
mod number;
#[expect(clippy::unnecessary_wraps, reason = "all have the form that the table of functions wants")]
mod over_time;
mod parse;
mod query;
mod select;
mod value;

pub(crate) use duration::parse as parse_duration_ms;
pub use error::Error;
pub(crate) use labels::is_label_name;
pub use labels::{Labels, METRIC_NAME};
pub use limits::{Limits, Meter};
pub use number::format_value;
pub(crate) use number::{count, millis as seconds_to_millis, seconds, whole_seconds};
pub use query::{Query, Range};
pub use select::{Matcher, STALE, Sample, Select, Selected, Test, is_stale};
pub use value::{Element, Value};
