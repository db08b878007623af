//! What the platform adds to a transaction that writes and enqueues.

use crate::harness::{Goal, Outcome, PinnedCluster, Settings, Table, crate_version, run_load};
use crate::schema;
use anyhow::Result;

const QUESTION: &str =
    "What does a transaction that writes a row and enqueues a job cost, against the same statements raw?";
const RATE: &str = "transactions/s";
const CPU: &str = "client CPU µs/transaction";
const ONEFOLD: &str = "Onefold `tx`";
const RAW: &str = "tokio-postgres, raw";
const CASES: [(&str, usize); 2] = [("1 task", 1), ("16 tasks", 16)];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let cluster = PinnedCluster::start(2).await?;
    let primary = cluster.primary().url();
    schema::migrate(&primary).await?;
    let client = cluster.primary().client().await;
    client
        .batch_execute("create table note (id bigint generated always as identity, body text not null)")
        .await?;
    let mut table = Table::new()?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for (case, tasks) in CASES {
            for (name, through) in [(RAW, "raw"), (ONEFOLD, "onefold")] {
                client.batch_execute("truncate note, onefold.job").await?;
                let (tasks, window) = (tasks.to_string(), settings.window.as_millis().to_string());
                let count = run_load(&[
                    "write",
                    "--through",
                    through,
                    "--primary",
                    &primary,
                    "--tasks",
                    &tasks,
                    "--window-ms",
                    &window,
                ])?;
                table.add(case, name, RATE, count.rate());
                table.add(case, name, CPU, count.cpu_us());
            }
        }
    }
    for (case, _) in CASES {
        table.compare((case, RATE), ONEFOLD, RAW, Some(Goal::AtLeast(0.9)))?;
        table.compare((case, CPU), ONEFOLD, RAW, None)?;
    }
    let notes = [
        "Postgres: a primary and two streaming replicas as `up` sets them up (`remote_apply`, any one of two), but with \
         `fsync = off`; all three on one core, the load, in one thread, on the other.",
        "Raw: BEGIN, an insert, the queue's own insert, COMMIT, one connection for each task, statements prepared: four \
         round trips and four messages. Ours does the same through `Db` with a new session for each, and brings back a \
         token of the commit: three round trips (BEGIN with the first insert; the other; COMMIT with the primary's \
         position) and five messages. It also sends a hint to the workers after the commit, at most one each 2 ms.",
    ];
    let versions = vec![crate_version("tokio-postgres"), cluster.version().await?];
    Ok(table.outcome(settings, ("write", QUESTION), &notes, versions))
}
