//! `balancer`: asks the balancer of a system that `up` runs.

use super::exit::Failure;
use super::{Running, output, process, table};
use crate::{admin, probe};
use clap::{Args, Subcommand};
use onefold_core::Role;
use serde_json::Value;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    running: Running,
}

#[derive(Subcommand)]
enum Action {
    /// Every endpoint: its health, latency and load
    Endpoints,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Action::Endpoints = arguments.action;
    let admin = process(&arguments.running.state, Role::Balancer)?.admin;
    let admin = admin.ok_or_else(|| Failure::Failed("the balancer has no admin address".to_owned()))?;
    let (_, body) =
        super::runtime()?.block_on(probe::get(admin, admin::ENDPOINTS)).map_err(Failure::Failed)?;
    let endpoints: Vec<Value> =
        serde_json::from_str(&body).map_err(|error| Failure::Failed(error.to_string()))?;
    if arguments.running.json { output::json(&endpoints) } else { table::print_rows(&endpoints) }
}
