//! Values by case, subject and measure, as the rounds bring them in.

use crate::harness::machine::{Machine, now_utc};
use crate::harness::result::{Goal, Outcome, Row, Versus};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    /// The measured window of one subject in one round.
    pub(crate) window: Duration,
    pub(crate) seed: u64,
    /// Where built binaries lie.
    pub(crate) binaries: PathBuf,
    /// The repository.
    pub(crate) root: PathBuf,
}

/// The values of one benchmark so far, in the order in which they first came.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    machine: Machine,
    date: String,
}

impl Table {
    /// An empty one; notes the machine as it is before the first round.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { rows: Vec::new(), machine: Machine::here()?, date: now_utc()? })
    }

    /// Adds the value of a round.
    pub(crate) fn add(&mut self, case: &str, subject: &str, measure: &str, value: f64) {
        eprintln!("  {case:<28} {subject:<34} {value:>12.2} {measure}");
        if let Some(row) = self.rows.iter_mut().find(|row| row.is(case, subject, measure)) {
            row.values.push(value);
            return;
        }
        self.rows.push(Row {
            case: case.to_owned(),
            subject: subject.to_owned(),
            measure: measure.to_owned(),
            values: vec![value],
            versus: Vec::new(),
        });
    }

    /// Divides a subject's values by a peer's, round by round.
    pub(crate) fn compare(
        &mut self,
        (case, measure): (&str, &str),
        subject: &str,
        peer: &str,
        goal: Option<Goal>,
    ) -> Result<()> {
        let theirs = self.values(case, peer, measure)?.to_vec();
        let row = self.row(case, subject, measure)?;
        let ratios = row.values.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        row.versus.push(Versus { peer: peer.to_owned(), ratios, goal });
        Ok(())
    }

    /// Divides a subject's last value by its own first.
    pub(crate) fn compare_last_with_first(
        &mut self,
        (case, measure): (&str, &str),
        subject: &str,
        goal: Option<Goal>,
    ) -> Result<()> {
        let row = self.row(case, subject, measure)?;
        let ratio = row.values.last().zip(row.values.first()).map(|(last, first)| last / first);
        row.versus.push(Versus {
            peer: "its own first round".to_owned(),
            ratios: ratio.into_iter().collect(),
            goal,
        });
        Ok(())
    }

    /// Holds a subject's values against a number.
    pub(crate) fn expect(&mut self, (case, measure): (&str, &str), subject: &str, goal: Goal) -> Result<()> {
        let row = self.row(case, subject, measure)?;
        row.versus.push(Versus { peer: String::new(), ratios: row.values.clone(), goal: Some(goal) });
        Ok(())
    }

    fn values(&self, case: &str, subject: &str, measure: &str) -> Result<&[f64]> {
        let row = self.rows.iter().find(|row| row.is(case, subject, measure));
        Ok(&row.with_context(|| format!("no {measure} of {subject} in {case}"))?.values)
    }

    fn row(&mut self, case: &str, subject: &str, measure: &str) -> Result<&mut Row> {
        let row = self.rows.iter_mut().find(|row| row.is(case, subject, measure));
        row.with_context(|| format!("no {measure} of {subject} in {case}"))
    }

    /// The result, for its file.
    pub(crate) fn outcome(
        self,
        settings: &Settings,
        (name, question): (&str, &str),
        notes: &[&str],
        versions: Vec<String>,
    ) -> Outcome {
        Outcome {
            name: name.to_owned(),
            question: question.to_owned(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
            date: self.date,
            machine: self.machine,
            versions,
            seed: settings.seed,
            rounds: settings.rounds,
            rows: self.rows,
        }
    }
}

impl Row {
    fn is(&self, case: &str, subject: &str, measure: &str) -> bool {
        self.case == case && self.subject == subject && self.measure == measure
    }
}
