//! `flags`: feature flags in flagd's format.

use super::exit::Failure;
use super::reach::{self, Reach};
use super::{Target, Why, complain, output, read_json, table};
use crate::App;
use clap::{Args, Subcommand};
use onefold_coordination::flags::{Import, State};
use onefold_coordination::{Error, EvaluationContext, Writer};
use serde_json::json;
use std::path::PathBuf;

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
    /// All flags with their state
    List,
    /// One flag, as flagd's format has it
    Get { name: String },
    /// Serve this variant by default; `on` and `off` make a flag that is not there yet
    Set { name: String, variant: String },
    /// Store a flag from a file in flagd's format (- is standard input)
    Put { name: String, file: PathBuf },
    /// Switch a flag on again
    Enable { name: String },
    /// Switch a flag off: the code's default is served
    Disable { name: String },
    /// Forget a flag: the code's default is served
    Delete { name: String },
    /// What a client is served, and why
    Eval {
        name: String,
        /// The targeting key: who the client is
        #[arg(long, value_name = "TEXT")]
        key: Option<String>,
        /// An attribute for targeting rules
        #[arg(long = "with", value_name = "NAME=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String)>,
    },
    /// What a flag was, the newest first
    History { name: String },
    /// Go back to what a flag was after a revision
    Rollback { name: String, revision: i64 },
    /// Store all flags of a flagd file (- is standard input), beside those that are there
    Import { file: PathBuf },
    /// All flags as one flagd file
    Export,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { action, target, why } = arguments;
    reach::with(app, &target.place, async |reach| act(&reach, action, why.writer(), target.json).await)
}

async fn act(reach: &Reach, action: Action, writer: Writer, json: bool) -> Result<(), Failure> {
    let flags = reach.coordination.flags();
    let position = match action {
        Action::List => return list(reach, json).await,
        Action::Get { name } => return output::json(&flags.show(&name).await?),
        Action::Eval { name, key, attributes } => {
            let start = key.map_or_else(EvaluationContext::new, EvaluationContext::of);
            let context =
                attributes.into_iter().fold(start, |context, (name, value)| context.with(name, value));
            return output::json(&flags.eval(&name, &context).await?);
        }
        Action::History { name } => {
            return table::history(&flags.history(&name, table::HISTORY_ROWS).await?, json);
        }
        Action::Export => return output::json(&flags.export().await?),
        Action::Set { name, variant } => set(reach, &name, &variant, writer).await?,
        Action::Put { name, file } => flags.put(&name, read_json(&file)?, writer).await?,
        Action::Enable { name } => flags.set_state(&name, State::Enabled, writer).await?,
        Action::Disable { name } => flags.set_state(&name, State::Disabled, writer).await?,
        Action::Delete { name } => flags.delete(&name, writer).await?,
        Action::Rollback { name, revision } => flags.rollback(&name, revision, writer).await?,
        Action::Import { file } => flags.import(&read_json(&file)?, Import::Merge, writer).await?,
    };
    table::in_force(&position, json)
}

async fn set(
    reach: &Reach,
    name: &str,
    variant: &str,
    writer: Writer,
) -> Result<onefold_coordination::store::Position, Failure> {
    let flags = reach.coordination.flags();
    match flags.set_default_variant(name, variant, writer.clone()).await {
        Err(Error::NotFound { near, .. }) if matches!(variant, "on" | "off") => {
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            complain(&format!("`{name}` is a new flag{hint}\n"));
            let flag = json!({
                "state": "ENABLED",
                "variants": { "on": true, "off": false },
                "defaultVariant": variant,
            });
            Ok(flags.put(name, flag, writer).await?)
        }
        outcome => Ok(outcome?),
    }
}

async fn list(reach: &Reach, json: bool) -> Result<(), Failure> {
    let flags = reach.coordination.flags().list().await?;
    if json {
        return output::json(&flags);
    }
    table::print_rows(&flags)
}
