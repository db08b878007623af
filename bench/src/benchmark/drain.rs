//! How fast a worker drains a queue.

use crate::harness::{Goal, Outcome, PinnedPostgres, Settings, Table, crate_version, run_load};
use crate::schema;
use anyhow::{Context as _, Result};

const QUESTION: &str = "How fast does a worker drain a queue of no-op jobs, against its own statements in a bare loop; \
                        and does an open transaction slow it down?";
const RATE: &str = "jobs/s";
const CPU: &str = "client CPU µs/job";
const ONEFOLD: &str = "Onefold worker";
const RAW: &str = "raw SQL";
const RAW_WITHOUT_MARK: &str = "raw SQL without watermark";
const DRAIN: &str = "drain";
const PINNED: &str = "drain, idle open transaction";
/// Enough for the second that a full scan may be away.
const JOBS: i64 = 200_000;
const JOBS_PINNED: i64 = 100_000;
/// Dead rows grow by a round's jobs: in the last of six a scan from the beginning meets half a million.
const ROUNDS_PINNED: usize = 6;

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let mut table = Table::new()?;
    let version = plain(settings, &mut table).await?;
    pinned(ROUNDS_PINNED, &mut table, (ONEFOLD, "onefold")).await?;
    pinned(ROUNDS_PINNED, &mut table, (RAW, "raw")).await?;
    // Half as often: it only shows what the watermark is for, and takes its time.
    pinned(ROUNDS_PINNED / 2, &mut table, (RAW_WITHOUT_MARK, "raw-without-mark")).await?;
    table.compare((DRAIN, RATE), ONEFOLD, RAW, Some(Goal::AtLeast(0.8)))?;
    table.compare((DRAIN, CPU), ONEFOLD, RAW, None)?;
    table.compare((PINNED, RATE), ONEFOLD, RAW, None)?;
    table.compare_last_with_first((PINNED, RATE), ONEFOLD, Some(Goal::AtLeast(0.7)))?;
    table.compare_last_with_first((PINNED, RATE), RAW, None)?;
    table.compare_last_with_first((PINNED, RATE), RAW_WITHOUT_MARK, None)?;
    let jobs = format!(
        "{JOBS} jobs a round, {JOBS_PINNED} under the open transaction, batches of 1,000; no history."
    );
    let notes = [
        "Postgres: one server with `fsync = off` on one core; the worker, in one thread, on the other.",
        &jobs,
        "Raw: fetch and completion as the queue's own statements, on one connection, a batch's completion and the next \
         fetch in one flight; it reads ids only. The worker also holds a lease, decodes jobs, makes a span and a deadline \
         for each, and counts.",
        "Open transaction: a snapshot is held over all rounds of a subject, so nothing is vacuumed, and each subject has \
         a server of its own; what counts is its last round against its first.",
    ];
    let versions = vec![crate_version("tokio-postgres"), version];
    Ok(table.outcome(settings, ("drain", QUESTION), &notes, versions))
}

async fn plain(settings: &Settings, table: &mut Table) -> Result<String> {
    let server = PinnedPostgres::start().await?;
    schema::migrate(&server.url()).await?;
    let client = server.client().await;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for (name, through) in [(RAW, "raw"), (ONEFOLD, "onefold")] {
            // Each begins with the same table, whoever was before.
            client.batch_execute("vacuum analyze onefold.job").await.context("vacuum")?;
            drain(table, &server, (DRAIN, name, through), JOBS)?;
        }
    }
    server.version().await
}

async fn pinned(rounds: usize, table: &mut Table, (name, through): (&str, &str)) -> Result<()> {
    let server = PinnedPostgres::start().await?;
    schema::migrate(&server.url()).await?;
    let idle = server.client().await;
    // A repeatable read keeps its snapshot, and with it everybody's dead rows, until it ends.
    idle.batch_execute("begin isolation level repeatable read; select 1")
        .await
        .context("open a transaction")?;
    for _ in 0..rounds {
        drain(table, &server, (PINNED, name, through), JOBS_PINNED)?;
    }
    idle.batch_execute("rollback").await.context("end the transaction")
}

fn drain(table: &mut Table, server: &PinnedPostgres, of: (&str, &str, &str), jobs: i64) -> Result<()> {
    let (case, name, through) = of;
    let count =
        run_load(&["drain", "--through", through, "--primary", &server.url(), "--jobs", &jobs.to_string()])?;
    table.add(case, name, RATE, count.rate());
    table.add(case, name, CPU, count.cpu_us());
    Ok(())
}
