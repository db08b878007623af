//! What the way of a job through NATS JetStream costs.

use super::ways::{Stage, Way};
use crate::harness::{Goal, Outcome, PinnedEngine, PinnedPostgres, Settings, crate_version, version_of};
use crate::schema;
use anyhow::Result;

const QUESTION: &str = "What does the way of a job through NATS JetStream cost, with three replicas, against async-nats alone and \
                        with our statements in bare loops?";
const RELAY: &str = "from rows into the stream";
const WORK: &str = "out of the stream, run, settled";
const END: &str = "from rows until settled";
const ONE: &str = "one after the other, until it runs";
const RATE: &str = "jobs/s";
const CPU: &str = "client CPU µs/job";
const LATENCY: &str = "ms, mean";
const ONEFOLD: &str = "Onefold";
const RAW: &str = "async-nats, our statements";
const RAW_ALONE: &str = "async-nats alone";
const JOBS: i64 = 20_000;

/// Jobs come one after the other, or all at once.
const WAYS: [Way; 10] = [
    (RELAY, RAW_ALONE, "raw-publish", 1),
    (RELAY, RAW, "raw-relay", 1),
    (RELAY, ONEFOLD, "relay", 1),
    (WORK, RAW_ALONE, "raw-consume", 1),
    (WORK, RAW, "raw-work", 1),
    (WORK, ONEFOLD, "work", 1),
    (END, RAW, "raw-end", 1),
    (END, ONEFOLD, "end", 1),
    (ONE, RAW_ALONE, "raw-one", 1),
    (ONE, ONEFOLD, "one", 1),
];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let postgres = PinnedPostgres::start().await?;
    schema::migrate(&postgres.url()).await?;
    let nats = PinnedEngine::nats().await?;
    let arguments = &["--jobs", &JOBS.to_string()];
    let stage = Stage { load: "nats", engine: &nats, postgres: &postgres, arguments };
    let mut table = stage.rounds(settings, &WAYS, |table, case, name, count| {
        if case == ONE {
            table.add(case, name, LATENCY, 1e3 / count.rate());
        } else {
            table.add(case, name, RATE, count.rate());
        }
        table.add(case, name, CPU, count.cpu_us());
    })?;
    for case in [RELAY, WORK, END] {
        table.compare((case, RATE), ONEFOLD, RAW, Some(Goal::AtLeast(0.85)))?;
        table.compare((case, CPU), ONEFOLD, RAW, None)?;
    }
    table.compare((RELAY, RATE), ONEFOLD, RAW_ALONE, None)?;
    table.compare((WORK, RATE), ONEFOLD, RAW_ALONE, None)?;
    table.compare((ONE, LATENCY), ONEFOLD, RAW_ALONE, None)?;
    let jobs = format!(
        "{JOBS} jobs a round, in batches of 1,000, their arguments as large as a click's. Streams and consumers have the \
         same settings for all."
    );
    let notes = [
        "NATS: three servers as `up` starts them, files on disk; Postgres with `fsync = off`; all on one core, the load, in \
         one thread, on the other.",
        &jobs,
        "Into the stream: two loops, each with 1,000 messages in flight. The relay takes rows out of the outbox in one \
         transaction that commits after the acknowledgements; so does the bare loop with our statements. Alone, nothing is \
         asked of Postgres: a message that is published then may be of a transaction that is not.",
        "Out of the stream: a worker claims each batch by a row, runs a no-op handler for each job under a lease, a span and \
         a deadline, notes the batch's end, and acknowledges. The bare loop does the same statements and acknowledgements; \
         alone, it acknowledges what it fetches, and what redelivery repeats is done twice.",
        "One after the other: ours is committed to Postgres, relayed, fetched, claimed and handed to its handler; the bare \
         one is published and received by a consumer that waits.",
    ];
    let versions = vec![
        crate_version("async-nats"),
        version_of("/usr/sbin/nats-server", "--version"),
        postgres.version().await?,
    ];
    Ok(table.outcome(settings, ("nats", QUESTION), &notes, versions))
}
