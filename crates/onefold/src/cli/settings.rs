//! `settings`: typed values that change without a restart.

use super::exit::Failure;
use super::reach::{self, Reach};
use super::{Target, Why, output, table};
use crate::App;
use clap::{Args, Subcommand};
use onefold_coordination::Writer;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    why: Why,
}

#[derive(Subcommand)]
enum Action {
    /// All settings of this application
    List,
    /// One setting
    Get { name: String },
    /// Set a value; it is checked first, and every node has it within a second
    Set { name: String, value: String },
    /// Go back to the default
    Unset { name: String },
    /// What a setting was, the newest first
    History { name: String },
    /// Go back to what a setting was after a revision
    Rollback { name: String, revision: i64 },
    /// Print every change, until stopped
    Watch,
    /// Which revision each node runs
    Nodes,
}

pub(super) fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { action, target, why } = arguments;
    reach::with(app, &target.place, async |reach| act(&reach, action, why.writer(), target.json).await)
}

async fn act(reach: &Reach, action: Action, writer: Writer, json: bool) -> Result<(), Failure> {
    let settings = reach.coordination.settings();
    let position = match action {
        Action::List => {
            let all = settings.list().await?;
            return if json { output::json(&all) } else { table::print_rows(&all) };
        }
        Action::Get { name } => {
            let one = settings.show(&name).await?;
            return if json { output::json(&one) } else { output::json(&one.value) };
        }
        Action::History { name } => {
            return table::history(&settings.history(&name, table::HISTORY_ROWS).await?, json);
        }
        Action::Nodes => {
            let nodes = settings.nodes().await?;
            return if json { output::json(&nodes) } else { table::print_rows(&nodes) };
        }
        Action::Watch => return watch(reach).await,
        Action::Set { name, value } => {
            let value = settings.parse(&name, &value)?;
            settings.set(&name, value, None, writer).await?
        }
        Action::Unset { name } => settings.unset(&name, writer).await?,
        Action::Rollback { name, revision } => settings.rollback(&name, revision, writer).await?,
    };
    table::in_force(&position, json)
}

async fn watch(reach: &Reach) -> Result<(), Failure> {
    let mut follow = reach.coordination.settings().follow().await?;
    loop {
        tokio::select! {
            changes = follow.next() => {
                for change in changes? {
                    let change = serde_json::to_string(&change);
                    output::line(change.map_err(|error| Failure::Failed(error.to_string()))?)?;
                }
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}
