//! The command line of an application's binary.

mod alerts;
mod balancer;
mod chaos;
mod console;
mod database;
mod doctor;
mod down;
mod exit;
mod flags;
mod jobs;
mod migrate;
mod observer;
mod output;
mod reach;
mod restart;
mod serve;
mod settings;
mod status;
mod table;
mod up;

use crate::App;
use clap::{Args, FromArgMatches as _, Parser, Subcommand};
pub(crate) use exit::{Failure, complain};
use onefold_coordination::Writer;
use onefold_core::Role;
use onefold_supervisor::status::ProcessStatus;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole system on this machine
    Up(up::Arguments),
    /// Run one node
    Serve(serve::Arguments),
    /// Stop what `up --detach` started
    Down(down::Arguments),
    /// Show every node and engine
    Status(Running),
    /// Start nodes again, one at a time, on the binary that was built since
    Restart(restart::Arguments),
    /// Apply pending migrations, under a lock
    Migrate(Place),
    /// Read and change runtime settings
    Settings(settings::Arguments),
    /// Read and change feature flags
    Flags(flags::Arguments),
    /// Look at jobs and dead letters, and replay them
    Jobs(jobs::Arguments),
    /// Ask the balancer
    Balancer(balancer::Arguments),
    /// Look at the database's servers, and make another the primary
    Database(database::Arguments),
    /// Break something on purpose, and heal it
    Chaos(chaos::Arguments),
    /// Ask the observer what is wrong
    Alerts(alerts::Arguments),
    /// Print a link that opens the console
    Console(console::Arguments),
    /// Check the machine, the engines and their settings, and say what to fix
    Doctor(Place),
}

/// Where the system is that a command speaks to.
#[derive(Args)]
struct Place {
    /// The topology file; by default that of the system which `up` runs in the state directory
    #[arg(long, global = true, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// The state directory of `up`
    #[arg(long, global = true, value_name = "DIR", default_value = up::STATE)]
    state: PathBuf,
}

/// Which system a command speaks to, and to whom it answers.
#[derive(Args)]
struct Target {
    #[command(flatten)]
    place: Place,
    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

/// Which system that `up` runs a command asks, and to whom it answers.
#[derive(Args)]
struct Running {
    /// The state directory of `up`
    #[arg(long, global = true, value_name = "DIR", default_value = up::STATE)]
    state: PathBuf,
    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

/// Why something is changed.
#[derive(Args)]
struct Why {
    /// Why, for the history
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
}

impl Why {
    /// Who changes it by the command line, and why.
    fn writer(self) -> Writer {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        Writer {
            actor: user.map_or_else(|| "command line".to_owned(), |user| user.name),
            reason: self.reason,
        }
    }
}

/// Does what the command line says.
pub(crate) fn run(app: App) -> ExitCode {
    if let Some(status) = onefold_supervisor::hidden::entry() {
        return status;
    }
    let command = <Cli as clap::CommandFactory>::command().name(app.name).bin_name(app.name);
    let matches = command.get_matches();
    let parsed = Cli::from_arg_matches(&matches);
    match parsed.map_err(|e| e.exit()).map(|cli: Cli| dispatch(app, cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
    }
}

fn dispatch(app: App, command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(arguments) => up::run(&app, arguments),
        Command::Serve(arguments) => serve::run(app, &arguments),
        Command::Down(arguments) => down::run(&arguments),
        Command::Status(running) => status::run(&running),
        Command::Restart(arguments) => restart::run(arguments),
        Command::Migrate(place) => migrate::run(&app, &place),
        Command::Settings(arguments) => settings::run(&app, arguments),
        Command::Flags(arguments) => flags::run(&app, arguments),
        Command::Jobs(arguments) => jobs::run(&app, arguments),
        Command::Balancer(arguments) => balancer::run(&arguments),
        Command::Database(arguments) => database::run(&app, arguments),
        Command::Chaos(arguments) => chaos::run(arguments),
        Command::Alerts(arguments) => alerts::run(&arguments),
        Command::Console(arguments) => console::run(&arguments),
        Command::Doctor(place) => doctor::run(&app, &place),
    }
}

/// The first process of this role in the system that `up` runs.
fn process(state: &Path, role: Role) -> Result<ProcessStatus, Failure> {
    let status = onefold_supervisor::status::read(state)?;
    let found = status.processes.into_iter().find(|process| process.role == role.as_str());
    found.ok_or_else(|| Failure::Failed(format!("no {role} runs")))
}

/// The runtime of commands; nodes bring their own.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Reads a JSON file; - is standard input.
fn read_json(path: &std::path::Path) -> Result<serde_json::Value, Failure> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::Usage(format!("read {}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{} is no JSON: {error}", path.display())))
}
