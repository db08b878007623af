//! The bare loops: async-nats, with the engine's statements between or without.

use super::lane::{Body, Lane, WINDOW};
use crate::harness::{Count, Stopwatch};
use crate::load::drive::closed_loop;
use crate::load::{Target, bare, drain};
use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::Message;
use futures_util::StreamExt as _;
use onefold_queue::DEFAULT_QUEUE;
use onefold_queue::nats::statements;
use onefold_queue::postgres::statements::REGISTER;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_postgres::{Client, Statement};

/// Loops at once, as a node's relays.
const RELAYS: i64 = 2;
const HOUR_US: i64 = 3_600_000_000;

fn bodies(from: i64, to: i64) -> Result<Vec<Body>> {
    (from..to).map(Body::new).collect()
}

/// Publishes in two loops, each with a window in flight.
async fn fill(lane: &Lane, jobs: i64) -> Result<()> {
    let share = jobs / RELAYS;
    let publish = async |from: i64, to: i64| {
        for chunk in bodies(from, to)?.chunks(WINDOW) {
            lane.publish(chunk).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publish(1, 1 + share), publish(1 + share, 1 + jobs))?;
    Ok(())
}

pub(super) async fn publish(lane: &Lane, jobs: i64) -> Result<Count> {
    let stopwatch = Stopwatch::start();
    fill(lane, jobs).await?;
    Ok(stopwatch.stop(u64::try_from(jobs)?))
}

pub(super) async fn relay(target: &Target, lane: &Lane, client: &Client, jobs: i64) -> Result<Count> {
    drain::fill(client, jobs).await?;
    let (first, second) = (Relay::new(target).await?, Relay::new(target).await?);
    let stopwatch = Stopwatch::start();
    let (one, other) = tokio::try_join!(first.run(lane), second.run(lane))?;
    let count = stopwatch.stop(one + other);
    if count.operations == u64::try_from(jobs)? {
        Ok(count)
    } else {
        bail!("{} were relayed", count.operations)
    }
}

/// One connection that takes rows.
struct Relay {
    client: Client,
    take: Statement,
}

impl Relay {
    async fn new(target: &Target) -> Result<Self> {
        let client = bare::connect(&target.primary).await?;
        let take = client.prepare(statements::TAKE).await.context("prepare the taking")?;
        Ok(Self { client, take })
    }

    async fn run(&self, lane: &Lane) -> Result<u64> {
        let (window, none) = (i64::try_from(WINDOW)?, Vec::<&str>::new());
        let mut relayed = 0;
        loop {
            let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&window, &none];
            let ((), rows) = tokio::try_join!(
                self.client.batch_execute("begin"),
                self.client.query(&self.take, &arguments)
            )?;
            let bodies = rows.iter().map(Body::of_row).collect::<Result<Vec<_>>>()?;
            lane.publish(&bodies).await?;
            self.client.batch_execute("commit").await?;
            relayed += bodies.len() as u64;
            if bodies.is_empty() {
                return Ok(relayed);
            }
        }
    }
}

pub(super) async fn consume(lane: &Lane, jobs: i64) -> Result<Count> {
    fill(lane, jobs).await?;
    let (mut consumed, jobs) = (0, u64::try_from(jobs)?);
    let stopwatch = Stopwatch::start();
    while consumed < jobs {
        let messages = lane.fetch().await?;
        lane.acknowledge(&messages).await?;
        consumed += messages.len() as u64;
    }
    Ok(stopwatch.stop(consumed))
}

pub(super) async fn work(target: &Target, lane: &Lane, jobs: i64) -> Result<Count> {
    fill(lane, jobs).await?;
    let worker = Worker::register(target).await?;
    let stopwatch = Stopwatch::start();
    worker.run(lane, u64::try_from(jobs)?).await?;
    Ok(stopwatch.stop(u64::try_from(jobs)?))
}

pub(super) async fn end(target: &Target, lane: &Lane, client: &Client, jobs: i64) -> Result<Count> {
    drain::fill(client, jobs).await?;
    let (first, second) = (Relay::new(target).await?, Relay::new(target).await?);
    let worker = Worker::register(target).await?;
    let stopwatch = Stopwatch::start();
    let worked = worker.run(lane, u64::try_from(jobs)?);
    tokio::try_join!(first.run(lane), second.run(lane), worked)?;
    Ok(stopwatch.stop(u64::try_from(jobs)?))
}

/// A worker's row, and the statements of its claims.
struct Worker {
    client: Client,
    id: i64,
    claim: Statement,
    cancelled: Statement,
    end: Statement,
    close: Statement,
}

/// A batch that is claimed.
struct Claimed {
    claim: i32,
    jobs: Vec<i64>,
    messages: Vec<Message>,
}

impl Worker {
    async fn register(target: &Target) -> Result<Self> {
        let client = bare::connect(&target.primary).await?;
        let boot = uuid::Uuid::new_v4();
        let row = client.query_one(REGISTER, &[&boot, &"raw", &"a", &"bench", &HOUR_US]).await?;
        let prepare = |sql| client.prepare(sql);
        let (claim, cancelled) =
            tokio::try_join!(prepare(statements::CLAIM), prepare(statements::CANCELLED_AMONG))?;
        let (end, close) = tokio::try_join!(prepare(statements::END), prepare(statements::CLOSE))?;
        Ok(Self { id: row.get(0), client, claim, cancelled, end, close })
    }

    /// A batch's completion and the next fetch in one flight.
    async fn run(&self, lane: &Lane, jobs: u64) -> Result<()> {
        let (mut done, mut before) = (0, None);
        while done < jobs {
            let (messages, ended) = tokio::try_join!(lane.fetch(), self.settle(lane, before.take()))?;
            done += ended;
            before = self.take(messages).await?;
        }
        Ok(())
    }

    async fn take(&self, messages: Vec<Message>) -> Result<Option<Claimed>> {
        let Some(first) = messages.first() else { return Ok(None) };
        let reply = |message: &Message| message.reply.as_ref().map(ToString::to_string);
        let carrier = reply(first).context("a message without reply")?;
        let id = |message: &Message| serde_json::from_slice::<Body>(&message.payload).map(|body| body.id);
        let jobs = messages.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        let letters: Vec<String> = messages.iter().filter_map(reply).collect();
        let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.id, &DEFAULT_QUEUE, &carrier, &jobs, &letters];
        let among: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&jobs];
        let (claims, _cancelled) = tokio::try_join!(
            self.client.query(&self.claim, &arguments),
            self.client.query(&self.cancelled, &among)
        )?;
        let claim = claims.first().context("no claim")?.get(0);
        Ok(Some(Claimed { claim, jobs, messages }))
    }

    async fn settle(&self, lane: &Lane, claimed: Option<Claimed>) -> Result<u64> {
        let Some(Claimed { claim, jobs, messages }) = claimed else { return Ok(0) };
        let (claims, free) = (vec![claim; jobs.len()], vec![false; jobs.len()]);
        self.client.query(&self.end, &[&self.id, &claims, &jobs, &free]).await?;
        lane.acknowledge(&messages).await?;
        self.client.query(&self.close, &[&[claim].as_slice(), &self.id]).await?;
        Ok(jobs.len() as u64)
    }
}

/// One message after the other, received by a consumer that waits.
pub(super) async fn one(target: &Target, lane: Lane) -> Result<Count> {
    let mut arriving = lane.consumer.messages().await?;
    let received = Arc::new(Notify::new());
    let rings = Arc::clone(&received);
    tokio::spawn(async move {
        while let Some(Ok(message)) = arriving.next().await {
            rings.notify_one();
            if message.ack().await.is_err() {
                return;
            }
        }
    });
    let next = Arc::new(std::sync::atomic::AtomicI64::new(1));
    closed_loop(target, 1, move |_| {
        let (lane, received, next) = (lane.clone(), Arc::clone(&received), Arc::clone(&next));
        async move {
            let id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            lane.publish(&[Body::new(id)?]).await?;
            received.notified().await;
            Ok(())
        }
    })
    .await
}
