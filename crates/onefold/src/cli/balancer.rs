//! `balancer`: asks the balancer of a system that `up` runs.

use super::exit::Failure;
use super::{output, process, table};
use crate::{admin, probe};
use clap::{Args, Subcommand};
use onefold_core::Role;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The state directory of `up`
    #[arg(long, global = true, value_name = "DIR", default_value = super::up::STATE)]
    state: PathBuf,
    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Every endpoint: its health, latency and load
    Endpoints,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Action::Endpoints = arguments.action;
    let admin = process(&arguments.state, Role::Balancer)?.admin;
    let admin = admin.ok_or_else(|| Failure::Failed("the balancer has no admin address".to_owned()))?;
    let (_, body) =
        super::runtime()?.block_on(probe::get(admin, admin::ENDPOINTS)).map_err(Failure::Failed)?;
    let endpoints: Vec<Value> =
        serde_json::from_str(&body).map_err(|error| Failure::Failed(error.to_string()))?;
    if arguments.json { output::json(&endpoints) } else { table::print_rows(&endpoints) }
}
