//! All metrics of a node at one moment: what `/metrics` prints and what is pushed are made of it.

use super::exemplar::Exemplar;

/// Families, by name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// In the order of their names.
    pub families: Vec<Family>,
}

/// The series of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// Without `_total`.
    pub name: &'static str,
    /// What it counts.
    pub help: String,
    /// How.
    pub kind: Kind,
    /// One for each combination of labels.
    pub series: Vec<Series>,
}

/// How a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// By bucket.
    Histogram,
}

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Names and values, in the order in which they were given.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, Debug)]
pub enum Value {
    /// A count of whole things.
    Count(u64),
    /// A total that is no whole number, or a gauge.
    Number(f64),
    /// Counts by bucket.
    Histogram {
        /// Upper bounds, ascending.
        bounds: &'static [f64],
        /// What fell into each bucket alone; one more than bounds.
        counts: Vec<u64>,
        /// Of all values.
        sum: f64,
        /// An example for each bucket that has one.
        exemplars: Vec<Option<Exemplar>>,
    },
}
