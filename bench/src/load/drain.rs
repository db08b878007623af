//! A full queue, emptied by no-op jobs without history.

use crate::harness::{Count, Stopwatch};
use crate::load::node::Node;
use crate::load::{KIND, Target, bare};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use onefold_queue::postgres::statements;
use onefold_queue::{DEFAULT_QUEUE, Start, Worker, WorkerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::{Client, Row};

/// As large as a worker's default.
const BATCH: usize = 1000;
const PRIORITIES: [i16; 4] = [0, 1, 2, 3];

/// The ways to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// The queue's statements in a bare loop on one connection: the completion of a batch and the fetch of the next
    /// in one flight.
    Raw,
    /// The same, every fetch from the beginning, as a queue without a watermark does it.
    RawWithoutMark,
    /// A worker.
    Onefold,
}

pub(super) async fn run(target: &Target, jobs: i64, through: Through) -> Result<Count> {
    let client = bare::connect(&target.primary).await?;
    fill(&client, jobs).await?;
    let count = match through {
        Through::Raw => raw(&client, Marking::Marked).await,
        Through::RawWithoutMark => raw(&client, Marking::FromTheBeginning).await,
        Through::Onefold => onefold(target, &client, jobs).await,
    }?;
    if count.operations != u64::try_from(jobs)? {
        bail!("{} of {jobs} jobs were drained", count.operations);
    }
    Ok(count)
}

/// Rows of jobs that are due.
pub(super) async fn fill(client: &Client, jobs: i64) -> Result<()> {
    let sql = "insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args) \
               select $1, $2, 1, 2, clock_timestamp(), 10, $3::json from generate_series(1, $4::bigint)";
    client.execute(sql, &[&DEFAULT_QUEUE, &KIND, &bare::args(), &jobs]).await.context("fill the queue")?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marking {
    Marked,
    FromTheBeginning,
}

async fn raw(client: &Client, marking: Marking) -> Result<Count> {
    let hour_us = 3_600_000_000_i64;
    let boot = uuid::Uuid::new_v4();
    let worker = client.query_one(statements::REGISTER, &[&boot, &"raw", &"a", &"bench", &hour_us]).await;
    let worker: i64 = worker.context("register")?.get(0);
    let fetch = client.prepare(statements::FETCH).await.context("prepare the fetch")?;
    let done = client.prepare(statements::DONE).await.context("prepare the completion")?;
    let queues = [DEFAULT_QUEUE; PRIORITIES.len()];
    let limit = i64::try_from(BATCH)?;
    let mut mark = (DateTime::<Utc>::UNIX_EPOCH, i64::MIN);
    let (mut ids, mut runs): (Vec<i64>, Vec<i32>) = (Vec::new(), Vec::new());
    let mut drained = 0;
    let stopwatch = Stopwatch::start();
    loop {
        let (times, numbers) = ([mark.0; PRIORITIES.len()], [mark.1; PRIORITIES.len()]);
        let (lanes, times, numbers) = (&queues[..], &times[..], &numbers[..]);
        let ended: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&worker, &ids, &runs];
        let begin: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&worker, &lanes, &&PRIORITIES[..], &times, &numbers, &limit];
        let (completed, rows) = tokio::try_join!(client.query(&done, &ended), client.query(&fetch, &begin))?;
        drained += completed.len() as u64;
        if rows.is_empty() {
            return Ok(stopwatch.stop(drained));
        }
        (ids, runs) = rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i32>(1))).unzip();
        if marking == Marking::Marked {
            mark = rows.iter().map(position).max().unwrap_or(mark);
        }
    }
}

fn position(row: &Row) -> (DateTime<Utc>, i64) {
    (row.get("run_at"), row.get("id"))
}

async fn onefold(target: &Target, client: &Client, jobs: i64) -> Result<Count> {
    let node = Node::connect(target).await?;
    let (left, last) = (Arc::new(AtomicI64::new(jobs)), Arc::new(Notify::new()));
    let (handled, end) = (Arc::clone(&left), Arc::clone(&last));
    let queue = node.queue(move || {
        if handled.fetch_sub(1, Ordering::Relaxed) == 1 {
            end.notify_one();
        }
    })?;
    let completed = node.metrics.counter("onefold_queue_completed", "Jobs done.", &[("kind", KIND)]);
    let start = Start {
        config: WorkerConfig::default(),
        node: "load".parse()?,
        zone: "a".parse()?,
        build: "bench".to_owned(),
        metrics: &node.metrics,
        clock: node.clock.clone(),
    };
    let stopwatch = Stopwatch::start();
    Worker::start(&queue, start, &node.tasks);
    last.notified().await;
    // All have run; the last batch may still be on its way. A question to the server would be work for it: after
    // the last job it walks over all that are gone.
    let all = u64::try_from(jobs)?;
    while completed.get() < all {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let count = stopwatch.stop(completed.get());
    let is_empty: bool = client.query_one("select not exists (select from onefold.job)", &[]).await?.get(0);
    if !is_empty || left.load(Ordering::Relaxed) != 0 {
        bail!("{} of {jobs} jobs did not run, or some are left", left.load(Ordering::Relaxed));
    }
    node.tasks.stop(Duration::from_secs(5)).await;
    Ok(count)
}
