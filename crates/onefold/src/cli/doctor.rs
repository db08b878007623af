//! `doctor`: checks the machine, the engines and their settings, and says what to fix.

mod finding;
mod postgres;
mod system;

use super::Place;
use super::exit::Failure;
use super::output;
use super::reach;
use crate::App;

pub(super) fn run(app: &App, place: &Place) -> Result<(), Failure> {
    let findings = reach::with(app, place, async |reach| {
        let mut findings = system::check(&reach).await;
        findings.extend(postgres::check(app, &reach).await);
        Ok(findings)
    })?;
    for finding in &findings {
        output::line(finding)?;
    }
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    if wrong == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{wrong} of {} checks found something to fix", findings.len())))
    }
}
