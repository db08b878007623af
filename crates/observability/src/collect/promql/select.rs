//! What an evaluation asks of a store: the series that match, with their samples.

use super::error::Error;
use super::labels::Labels;
use super::limits::Meter;
use regex::Regex;

/// A value at a time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The value; [`STALE`] marks the end of a series.
    pub value: f64,
}

/// The bits of the `NaN` that Prometheus writes where a series ends, so that it is gone at once and not only
/// after the lookback.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that marks the end of a series.
pub const STALE: f64 = f64::from_bits(STALE_BITS);

/// Whether a value is the mark of a series' end, not a number that was measured.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// A series that was selected, with its samples in ascending order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// What it is.
    pub labels: Labels,
    /// Its samples within the asked range, ascending in time, no two at one time.
    pub samples: Vec<Sample>,
}

/// A store of samples.
pub trait Select {
    /// All series that match, with their samples from `start_ms` to `end_ms`, both included; a series without
    /// a sample in the range may be left out. Every sample that is read is counted on `meter`.
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        meter: &Meter,
    ) -> Result<Vec<Selected>, Error>;
}

/// What a label must be like.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// What its value must be; a label that is not there has the empty value.
    pub test: Test,
}

/// What a label's value must be.
#[derive(Clone, Debug)]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored at both ends.
    Matches(Regex),
    /// `!~`, anchored at both ends.
    MatchesNot(Regex),
}

/// What a compiled pattern may take, in bytes: a query is not trusted.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern as matchers and `label_replace` use it: anchored at both ends, `.` also matching a newline.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build()
}

impl Matcher {
    /// The label is exactly this.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), test: Test::Equal(value.into()) }
    }

    /// Whether a value passes.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(text) => text == value,
            Test::NotEqual(text) => text != value,
            Test::Matches(pattern) => pattern.is_match(value),
            Test::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

/// Series held in memory, as tests and small tools have them.
impl Select for Vec<Selected> {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        meter: &Meter,
    ) -> Result<Vec<Selected>, Error> {
        let mut found = Vec::new();
        for series in self {
            if !matchers.iter().all(|matcher| matcher.accepts(series.labels.get(&matcher.name))) {
                continue;
            }
            let from = series.samples.partition_point(|sample| sample.at_ms < start_ms);
            let to = series.samples.partition_point(|sample| sample.at_ms <= end_ms);
            if from < to {
                meter.samples(to - from)?;
                let samples = series.samples[from..to].to_vec();
                found.push(Selected { labels: series.labels.clone(), samples });
            }
        }
        Ok(found)
    }
}
