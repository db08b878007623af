//! Benchmarks of Onefold, each a ratio to a named peer in one interleaved run.
//!
//! `run` measures and writes result files, `report` makes `RESULTS.md` of them. `load` and `serve` are what `run`
//! starts as processes of their own, so that each can be pinned and its CPU time counted.

mod benchmark;
mod harness;
mod load;
mod ours;
mod peer;
mod report;
mod schema;

use anyhow::{Context as _, Result};
use benchmark::Benchmark;
use clap::{Parser, Subcommand, ValueEnum as _};
use harness::Settings;
use load::Load;
use peer::AccessLog;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures, and writes a result file for each benchmark.
    Run(Run),
    /// Writes RESULTS.md of the result files.
    Report {
        /// The repository.
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Puts load on a database and prints what it did.
    #[command(subcommand, hide = true)]
    Load(Load),
    /// Serves what a proxy needs behind it.
    #[command(subcommand, hide = true)]
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Which; all if none is named.
    benchmarks: Vec<Benchmark>,
    /// How often each subject has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Where the built binaries lie.
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// Where result files go; the repository's, if not given.
    #[arg(long)]
    results: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Serve {
    /// A fixed answer of 200 bytes on each port.
    Backends { ports: Vec<u16> },
    /// The application without a platform.
    App { port: u16, code: String, target: String },
    /// Our balancer.
    Balancer {
        port: u16,
        backends: Vec<u16>,
        #[arg(long)]
        access_log: bool,
    },
    /// A handler with an app node's spans.
    Traced {
        port: u16,
        #[arg(long)]
        otlp: Option<String>,
        #[arg(long, default_value_t = 1.0)]
        sample: f64,
    },
    /// What takes those spans.
    Collector { port: u16, directory: PathBuf },
    /// The observer's stores.
    Observer { otlp: u16, reads: u16, directory: PathBuf },
    /// A row for each span.
    Rows { otlp: u16, file: PathBuf },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => on_one_thread(measure(run)),
        Command::Report { root } => {
            report::write(&root.join("bench/results"), &root.join("bench/RESULTS.md"))
        }
        Command::Load(load) => on_one_thread(async move {
            println!("{}", serde_json::to_string(&load.run().await?)?);
            Ok(())
        }),
        Command::Serve(Serve::Backends { ports }) => {
            on_one_thread(async move { peer::serve_backends(&ports).await })
        }
        Command::Serve(Serve::Balancer { port, backends, access_log }) => on_one_thread(async move {
            let log = if access_log { AccessLog::On } else { AccessLog::Off };
            ours::serve_balancer(port, &backends, log).await
        }),
        Command::Serve(Serve::Traced { port, otlp, sample }) => {
            on_one_thread(async move { ours::serve_traced(port, otlp, sample).await })
        }
        Command::Serve(Serve::Collector { port, directory }) => {
            on_one_thread(async move { ours::serve_collector(port, &directory).await })
        }
        Command::Serve(Serve::Observer { otlp, reads, directory }) => {
            on_one_thread(async move { ours::serve_observer(otlp, reads, &directory).await })
        }
        Command::Serve(Serve::Rows { otlp, file }) => {
            on_one_thread(async move { peer::serve_rows(otlp, &file).await })
        }
        Command::Serve(Serve::App { port, code, target }) => {
            on_all_threads(async move { peer::serve_app(port, &code, &target).await })
        }
    }
}

async fn measure(run: Run) -> Result<()> {
    let results = run.results.unwrap_or_else(|| run.root.join("bench/results"));
    let settings = Settings {
        rounds: run.rounds,
        window: Duration::from_secs(run.seconds),
        seed: run.seed,
        binaries: run.binaries,
        root: run.root,
    };
    let all = Benchmark::value_variants();
    let chosen = if run.benchmarks.is_empty() { all } else { &run.benchmarks };
    for benchmark in chosen {
        eprintln!("{}", benchmark.name());
        let outcome = benchmark.run(&settings).await.with_context(|| benchmark.name().to_owned())?;
        outcome.write(&results)?;
    }
    Ok(())
}

fn on_one_thread(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(work)
}

/// As `#[tokio::main]` does.
fn on_all_threads(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(work)
}
