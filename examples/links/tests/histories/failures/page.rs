//! `docs/failures.md`: a table of what was measured, between two marks that name its engines.

use super::case::{Case, What};
use super::probe::{Asked, Seen};
use onefold_lab::{Summary, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Shorter than this, nobody was without an answer: as long as a busy machine keeps a request waiting.
const NOTICED: Duration = Duration::from_millis(500);

/// What befell a component, and what clients saw of it.
pub(crate) struct Row {
    pub(crate) case: &'static Case,
    pub(crate) what: What,
    pub(crate) seen: BTreeMap<Asked, Seen>,
}

/// What a whole run found.
pub(crate) struct Run {
    pub(crate) engines: String,
    pub(crate) held: Duration,
    pub(crate) rows: Vec<Row>,
    pub(crate) summary: Summary,
    pub(crate) verdicts: Vec<(&'static str, Verdict)>,
}

impl Run {
    fn text(&self) -> String {
        let mut text = String::from(
            "| component | what | follow | strong read | write | job's effect | at risk |\n|---|---|---|---|---|---|---|\n",
        );
        for Row { case, what, seen } in &self.rows {
            let cells = Asked::ALL.map(|asked| cell(asked, seen.get(&asked).copied().unwrap_or_default()));
            let _ = writeln!(text, "| {} | {what} | {} | {} |", case.component, cells.join(" | "), case.risk);
        }
        let _ = writeln!(
            text,
            "\nWhat hangs does so for {} s. Under all of it clients' histories were taken down and judged:\n",
            self.held.as_secs()
        );
        for (name, verdict) in &self.verdicts {
            let _ = writeln!(text, "- {name}: {verdict}");
        }
        let _ = writeln!(text, "\n```text\n{}```", self.summary);
        text
    }

    /// Puts the table in the place of the one of the same engines.
    pub(crate) fn write_into(&self, page: &Path) {
        let (begin, end) =
            (format!("<!-- measured on {} -->", self.engines), format!("<!-- end of {} -->", self.engines));
        let old = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let (Some(from), Some(to)) = (old.find(&begin), old.find(&end)) else {
            panic!("{} has no place for {}: {begin} and {end}", page.display(), self.engines)
        };
        let new = format!("{}{begin}\n{}{}", &old[..from], self.text(), &old[to..]);
        std::fs::write(page, new).unwrap();
    }
}

/// `all` where nobody noticed; else how many failed, and for how long nothing was answered.
fn cell(asked: Asked, seen: Seen) -> String {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let Seen { failed, without, slowest, .. } = seen;
    if asked == Asked::Effect {
        let late = format!("after at most {}", seconds(slowest));
        return if failed == 0 { late } else { format!("{failed} lost") };
    }
    let gap = (without > NOTICED).then(|| format!("{} without", seconds(without)));
    let share = (failed > 0).then(|| format!("{failed} of {} failed", seen.asked));
    let told: Vec<String> = [share, gap].into_iter().flatten().collect();
    if told.is_empty() { "all".to_owned() } else { told.join(", ") }
}
