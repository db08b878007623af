//! Prometheus' rule files: groups of alerting and recording rules, checked when they are loaded, all mistakes at
//! once, each with its line and column.

mod read;

use super::template::Template;
use super::yaml::Place;
use crate::collect::promql::Query;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What the observer ships: the alerts that a system of this kind needs.
pub(super) const DEFAULTS: &str = include_str!("defaults.yaml");
/// What stands for the file's name where the shipped rules are used.
pub(super) const BUILT_IN: &str = "built in";

/// A file's size, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Rules that are evaluated one after the other, at one interval.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) interval: Duration,
    pub(super) rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) query: Query,
    pub(super) kind: Kind,
    pub(super) labels: Vec<(String, Template)>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Alert(Alert),
    /// The name of the series that keeps the expression's value.
    Record(String),
}

#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) name: String,
    /// `for`: how long it must hold before it fires.
    pub(super) hold: Duration,
    pub(super) keep_firing: Duration,
    pub(super) annotations: Vec<(String, Template)>,
}

impl Rule {
    pub(super) fn name(&self) -> &str {
        match &self.kind {
            Kind::Alert(alert) => &alert.name,
            Kind::Record(name) => name,
        }
    }
}

/// One mistake in a file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1; 0 where the file itself is meant.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Fault {
    pub(super) fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { line: place.line, column: place.column, problem: problem.into() }
    }
}

/// All mistakes of a file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFaults {
    /// The file.
    pub file: String,
    /// Each mistake, in the order of the file.
    pub faults: Vec<Fault>,
}

impl fmt::Display for RuleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Fault { line, column, problem }) in self.faults.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{line}:{column}: {problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleFaults {}

/// The rules of a file, or of the shipped ones where none is named.
pub(super) fn load(file: Option<&Path>) -> Result<Vec<Group>, RuleFaults> {
    let Some(file) = file else { return parse(BUILT_IN, DEFAULTS) };
    let name = file.display().to_string();
    let unread = |problem: String| RuleFaults {
        file: name.clone(),
        faults: vec![Fault { line: 0, column: 0, problem }],
    };
    let size = std::fs::metadata(file).map_err(|error| unread(format!("read the rules: {error}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unread(format!(
            "a file of rules has at most {FILE_BYTES_MAX} bytes, this one has {size}"
        )));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unread(format!("read the rules: {error}")))?;
    parse(&name, &text)
}

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Group>, RuleFaults> {
    read::groups(text).map_err(|faults| RuleFaults { file: file.to_owned(), faults })
}

#[cfg(test)]
mod tests;
