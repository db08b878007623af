//! `down`: stops what `up --detach` started.

use super::exit::Failure;
use super::output;
use clap::Args;
use onefold_supervisor::{Error, state};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// The state directory of `up`
    #[arg(long, value_name = "DIR", default_value = super::up::STATE)]
    state: PathBuf,
    /// Remove the state as well: all data of the system
    #[arg(long)]
    remove_state: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match super::runtime()?.block_on(onefold_supervisor::down(&arguments.state)) {
        Ok(pid) => output::line(format_args!("stopped (was process {pid})"))?,
        // Whoever wants the state removed wants nothing to run on it, and nothing does.
        Err(Error::NotRunning(_)) if arguments.remove_state => {}
        Err(error) => return Err(error.into()),
    }
    if arguments.remove_state {
        for path in state::remove(&arguments.state)? {
            output::line(format_args!("removed {}", path.display()))?;
        }
    }
    Ok(())
}
