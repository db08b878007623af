//! `jobs`: what waits, runs, and has failed for good.

use super::exit::Failure;
use super::reach;
use super::{Target, output, table};
use crate::App;
use clap::{Args, Subcommand};
use onefold_queue::JobId;
use onefold_queue::admin::{Admin, Cancelled, Filter, JobState};
use serde::Serialize;
use serde_json::json;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Action {
    /// Live jobs
    List(Which),
    /// One job, with its failures
    Show { id: i64 },
    /// Run a waiting job now
    Retry { id: i64 },
    /// Cancel a job: at once if it waits, soon if it runs
    Cancel { id: i64 },
    /// Dead letters
    Dead(Which),
    /// Bring dead letters back to life: those that match
    Replay(Which),
    /// How many jobs each queue has
    Queues,
}

#[derive(Args)]
struct Which {
    /// This one
    #[arg(long)]
    id: Option<i64>,
    /// Of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Of this kind
    #[arg(long)]
    kind: Option<String>,
    /// In this state; `--state` names the system's directory everywhere
    #[arg(long = "job-state", value_name = "STATE")]
    job_state: Option<JobState>,
    /// With a greater id: the next page
    #[arg(long)]
    after: Option<i64>,
    /// So many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

impl From<Which> for Filter {
    fn from(which: Which) -> Self {
        let Which { id, queue, kind, job_state, after, limit } = which;
        Self { id: id.map(JobId), queue, kind, state: job_state, after: after.map(JobId), limit }
    }
}

pub(super) fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { action, target: Target { place, json } } = arguments;
    reach::with(app, &place, async |reach| {
        let jobs = reach.topology.queue.admin("command", &reach.database, reach.clock).await?;
        act(&jobs, action, json).await
    })
}

async fn act(jobs: &Admin, action: Action, json: bool) -> Result<(), Failure> {
    let no_such = |id: i64| Failure::Failed(format!("there is no job {id} that this applies to"));
    match action {
        Action::List(which) => show(&jobs.list(&which.into()).await?, json),
        Action::Dead(which) => show(&jobs.dead(&which.into()).await?, json),
        Action::Queues => show(&jobs.depths().await?, json),
        Action::Show { id } => output::json(&jobs.show(JobId(id)).await?.ok_or_else(|| no_such(id))?),
        Action::Retry { id } => {
            if !jobs.retry(JobId(id)).await? {
                return Err(no_such(id));
            }
            output::outcome(format_args!("job {id} is due now"), &json!({ "id": id }), json)
        }
        Action::Cancel { id } => {
            let (cancelled, said) = match jobs.cancel(JobId(id)).await? {
                Cancelled::Cancelled => (true, format!("job {id} is cancelled")),
                Cancelled::Requested => (false, format!("job {id} runs; its worker is told")),
                Cancelled::Unknown => return Err(no_such(id)),
            };
            output::outcome(said, &json!({ "id": id, "cancelled": cancelled }), json)
        }
        Action::Replay(which) => {
            let replayed = jobs.replay(&which.into()).await?;
            let said = format!("{} dead letters live again", replayed.len());
            output::outcome(said, &json!({ "replayed": replayed }), json)
        }
    }
}

fn show<T: Serialize>(rows: &[T], json: bool) -> Result<(), Failure> {
    if json { output::json(&rows) } else { table::print_rows(rows) }
}
