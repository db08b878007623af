//! `RESULTS.md`: the result files as a person reads them. Nothing in it is written by hand.

use crate::benchmark::Benchmark;
use crate::harness::{Outcome, Row, Spread, Versus};
use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Benchmarks\n\n\
    Written by `make bench` from the files in `bench/results/`; every number in the documentation comes from here. \
    Each benchmark asks one question and is one run, in which ours and its peers take turns; a comparison is made in \
    each round, and its median counts. Server and load have a core each, except where a note says otherwise. These are \
    ratios of one machine: differences below 15 % are noise on a shared one.\n";

const TABLE_HEAD: &str = "| case | subject | measure | min | median | max | compared | goal | met |\n\
    |---|---|---|--:|--:|--:|---|---|---|\n";

/// Writes the report of all result files.
pub(crate) fn write(results: &Path, report: &Path) -> Result<()> {
    let mut text = HEAD.to_owned();
    for benchmark in Benchmark::value_variants() {
        if let Some(outcome) = Outcome::read(results, benchmark.name())? {
            text += &section(&outcome);
        }
    }
    std::fs::write(report, text).with_context(|| format!("write {}", report.display()))
}

fn section(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let mut text = format!("\n## {}\n\n{}\n\n{TABLE_HEAD}", outcome.name, outcome.question);
    for row in &outcome.rows {
        text += &lines(row);
    }
    text.push('\n');
    for note in &outcome.notes {
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "- {note}");
    }
    let _ = writeln!(
        text,
        "- {}; {} rounds, seed {}; {}, {} cores, {:.0} GiB, Linux {}; load before the first round {}.",
        outcome.date,
        outcome.rounds,
        outcome.seed,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.load_before
    );
    let _ = writeln!(text, "- {}.", outcome.versions.join("; "));
    text
}

/// A line for each comparison of a row, or one without.
fn lines(row: &Row) -> String {
    let spread = Spread::of(&row.values).unwrap_or(Spread { min: 0.0, median: 0.0, max: 0.0 });
    let start = format!(
        "| {} | {} | {} | {} | {} | {} |",
        row.case,
        row.subject,
        row.measure,
        number(spread.min),
        number(spread.median),
        number(spread.max)
    );
    if row.versus.is_empty() {
        return format!("{start} | | |\n");
    }
    row.versus.iter().map(|versus| format!("{start} {}\n", compared(versus))).collect::<Vec<_>>().concat()
}

fn compared(versus: &Versus) -> String {
    let median = Spread::of(&versus.ratios).map_or(f64::NAN, |spread| spread.median);
    let ratio =
        if versus.peer.is_empty() { String::new() } else { format!("{median:.2} × {}", versus.peer) };
    match versus.goal {
        Some(goal) => {
            format!("{ratio} | {goal} | {} |", if goal.is_met_by(median) { "yes" } else { "**no**" })
        }
        None => format!("{ratio} | | |"),
    }
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 1000.0 {
        let decimals = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let from_end = |i: usize| (digits.len() - i).is_multiple_of(3) && i > 0;
    digits.char_indices().flat_map(|(i, digit)| [from_end(i).then_some(','), Some(digit)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Goal;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            ["9.88", "10.8", "999.0", "1,000", "152,345", "1,234,567"].map(str::to_owned),
            [9.876, 10.76, 999.0, 1000.0, 152_345.0, 1_234_567.0].map(number)
        );
    }

    #[test]
    fn a_missed_goal_stands_out() {
        let versus =
            Versus { peer: "raw".to_owned(), ratios: vec![0.9, 0.7, 0.75], goal: Some(Goal::AtLeast(0.8)) };
        assert_eq!(compared(&versus), "0.75 × raw | ≥ 0.8 | **no** |");
    }
}
