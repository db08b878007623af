//! `console`: a link that opens the console of a system that `up` runs.

use super::exit::Failure;
use super::{observer, output, process};
use crate::invitation;
use crate::role::observer::home;
use clap::Args;
use onefold_core::{Clock, Role};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// The state directory of `up`
    #[arg(long, value_name = "DIR", default_value = super::up::STATE)]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let state = &arguments.state;
    let address = process(state, Role::Observer)?.address;
    let link = invitation::link(&observer::console(state)?, address, &home::tokens(state), &Clock::system());
    output::line(link.map_err(|error| Failure::Failed(error.to_string()))?)
}
