//! `status`: every node and engine.

use super::exit::Failure;
use super::{Running, output};
use onefold_core::Clock;

pub(super) fn run(running: &Running) -> Result<(), Failure> {
    let status = onefold_supervisor::status::read(&running.state)?;
    if running.json { output::json(&status) } else { output::print(status.table(Clock::system().wall())) }
}
