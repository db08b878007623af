//! `alerts`: what the observer of a system that `up` runs has to say, and whether anybody would hear it.

use super::exit::Failure;
use super::observer::Observer;
use super::{Running, output, table};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    running: Running,
}

#[derive(Subcommand)]
enum Action {
    /// Every alert, and how it stands
    List,
    /// Send the receiver a notification that says it is a test
    Test,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let observer = Observer::of(&arguments.running.state)?;
    let runtime = super::runtime()?;
    match arguments.action {
        Action::List => {
            let mut answer = runtime.block_on(observer.ask(Method::GET, "/api/alerts"))?;
            let Value::Array(alerts) = answer["alerts"].take() else { return output::json(&answer) };
            if arguments.running.json {
                return output::json(&alerts);
            }
            table::print_rows(&alerts.iter().map(row).collect::<Vec<Value>>())
        }
        Action::Test => {
            let done = runtime.block_on(observer.ask(Method::POST, "/api/alerts/test"))?;
            output::outcome("the receiver took the test", &done, arguments.running.json)
        }
    }
}

/// What a person looks for first.
fn row(alert: &Value) -> Value {
    let summary = &alert["annotations"]["summary"];
    let (name, state, severity) = (&alert["name"], &alert["state"], &alert["severity"]);
    json!({ "name": name, "state": state, "severity": severity, "since": alert["since"], "summary": summary })
}
