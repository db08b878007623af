//! `status`: every node and engine.

use super::exit::Failure;
use super::{Running, chaos, output};
use crate::up::report::Report;
use onefold_chaos::Fault;
use onefold_core::Clock;
use onefold_supervisor::status::Status;
use serde::Serialize;

pub(super) fn run(running: &Running) -> Result<(), Failure> {
    let status = onefold_supervisor::status::read(&running.state)?;
    let faults = Report::read(&running.state, status.pid).unwrap_or_default().faults;
    if running.json {
        return output::json(&Shown { status: &status, faults: &faults });
    }
    let now = Clock::system().wall();
    output::print(status.table(now))?;
    faults.iter().try_for_each(|fault| output::line(chaos::line(fault, now)))
}

/// The status, and what is broken on purpose.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    status: &'a Status,
    faults: &'a [Fault],
}
