//! The result file of one benchmark: every value of every round, so that whoever doubts a table can make it anew.

use crate::harness::machine::Machine;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Everything that one benchmark found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) question: String,
    /// How it was measured, and what a reader must know to judge it.
    pub(crate) notes: Vec<String>,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) versions: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

/// One measure of one subject in one case.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was asked of it: `32 connections`.
    pub(crate) case: String,
    /// Who was measured.
    pub(crate) subject: String,
    /// What was measured, with its unit.
    pub(crate) measure: String,
    /// In the order of the rounds.
    pub(crate) values: Vec<f64>,
    pub(crate) versus: Vec<Versus>,
}

/// A comparison, made in each round anew, so that what drifts between rounds does not touch it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Versus {
    pub(crate) peer: String,
    pub(crate) ratios: Vec<f64>,
    pub(crate) goal: Option<Goal>,
}

/// What the comparison should come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
        }
    }
}

impl Outcome {
    /// Writes the file that [`Outcome::read`] reads.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        let path = directory.join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(self).context("write a result")?;
        std::fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// None where the benchmark has not been run.
    pub(crate) fn read(directory: &Path, name: &str) -> Result<Option<Self>> {
        let path = directory.join(format!("{name}.json"));
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                Ok(Some(serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_limit() {
        assert!(Goal::AtLeast(0.8).is_met_by(0.8) && Goal::AtMost(1.0).is_met_by(1.0));
        assert!(!Goal::AtLeast(0.8).is_met_by(0.79) && !Goal::AtMost(1.0).is_met_by(1.01));
    }
}
