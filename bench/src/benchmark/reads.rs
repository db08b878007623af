//! What a point read costs through `Db`.

use crate::harness::{Count, Goal, Outcome, PinnedCluster, Settings, Table, crate_version, run_load};
use crate::load::ROWS;
use anyhow::Result;

const QUESTION: &str = "What does a point read cost through `Db`, against the same statement without it?";
const REPLICA: &str = "32 tasks, replica";
const PRIMARY: &str = "32 tasks, primary";
const RATE: &str = "reads/s";
const CPU: &str = "client CPU µs/read";
const ONEFOLD: &str = "Onefold `Db`";
const BARE: &str = "tokio-postgres, pipelined";
const SQLX: &str = "sqlx";
const DEADPOOL: &str = "deadpool-postgres";

/// Each way to read: its case, its name, and what the load calls it.
const WAYS: [(&str, &str, &str); 6] = [
    (REPLICA, BARE, "bare"),
    (REPLICA, ONEFOLD, "onefold"),
    (REPLICA, DEADPOOL, "deadpool"),
    (REPLICA, SQLX, "sqlx"),
    (PRIMARY, BARE, "bare"),
    (PRIMARY, ONEFOLD, "onefold-strong"),
];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let cluster = PinnedCluster::start(1).await?;
    fill(&cluster).await?;
    let mut table = Table::new()?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for (case, name, through) in WAYS {
            let count = read(settings, &cluster, case == REPLICA, through)?;
            table.add(case, name, RATE, count.rate());
            table.add(case, name, CPU, count.cpu_us());
        }
    }
    table.compare((REPLICA, RATE), ONEFOLD, BARE, Some(Goal::AtLeast(0.95)))?;
    table.compare((REPLICA, RATE), ONEFOLD, SQLX, Some(Goal::AtLeast(2.5)))?;
    table.compare((REPLICA, CPU), ONEFOLD, BARE, None)?;
    table.compare((REPLICA, RATE), DEADPOOL, BARE, None)?;
    table.compare((REPLICA, RATE), SQLX, BARE, None)?;
    table.compare((PRIMARY, RATE), ONEFOLD, BARE, None)?;
    let notes = [
        "Postgres: a primary and a streaming replica as `up` sets them up, but with `fsync = off`; both on one core, \
         the load, in one thread, on the other. 100,000 rows; which one is read is drawn by the seed.",
        "Each read through `Db` makes a session of its own, as a request does, and at the default level goes to the \
         replica; at level `strong` it goes to the primary. Neither asks for a position: nobody wants one here.",
        "Bare: two pipelined connections and a statement prepared beforehand. deadpool and sqlx: a connection for \
         each task, default settings, cached statements.",
    ];
    let versions = ["tokio-postgres", "deadpool-postgres", "sqlx"].map(crate_version).into_iter();
    let versions = versions.chain([cluster.version().await?]).collect();
    Ok(table.outcome(settings, ("reads", QUESTION), &notes, versions))
}

async fn fill(cluster: &PinnedCluster) -> Result<()> {
    let sql = format!(
        "create table item (id bigint primary key, url text not null); \
         insert into item select id, 'https://example.com/' || id from generate_series(0, {ROWS} - 1) id; \
         vacuum analyze item"
    );
    // One by one: VACUUM runs in no transaction.
    let client = cluster.primary().client().await;
    for statement in sql.split(';') {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

fn read(settings: &Settings, cluster: &PinnedCluster, from_replica: bool, through: &str) -> Result<Count> {
    let (primary, replica) = (cluster.primary().url(), cluster.replica().url());
    let window = settings.window.as_millis().to_string();
    let seed = settings.seed.to_string();
    let mut arguments =
        vec!["reads", "--through", through, "--primary", &primary, "--window-ms", &window, "--seed", &seed];
    if from_replica {
        arguments.extend(["--replica", &replica]);
    }
    run_load(&arguments)
}
