//! `status`: every node and engine.

use super::exit::Failure;
use super::output;
use clap::Args;
use onefold_core::Clock;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// The state directory of `up`
    #[arg(long, value_name = "DIR", default_value = super::up::STATE)]
    state: PathBuf,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let status = onefold_supervisor::status::read(&arguments.state)?;
    if arguments.json { output::json(&status) } else { output::print(status.table(Clock::system().wall())) }
}
