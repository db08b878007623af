//! The engine: which statement answers which promise.

use super::columns::{insert_alone, insert_in, is_one_statement, micros, narrow};
use super::consumer::Fetcher;
use super::settler::Ends;
use super::{partitions, rescue, sql};
use crate::delivery::Message;
use crate::store::{
    Capabilities, Consumer, Execution, Identity, NewJob, Renewal, Rescued, Retention, Settler, Signal, Store,
    WorkerId,
};
use crate::{BoxFuture, Enqueued, Error, JobId};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use onefold_core::Clock;
use onefold_database::{Database, Heard, Session, Tx};
use std::time::Duration;

/// The channel of hints. A payload is `+` and a queue's name, or `-` and the id of a job to be cancelled.
pub(super) const CHANNEL: &str = "onefold_queue";

/// The queue on Postgres. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Postgres {
    pub(super) database: Database,
    clock: Clock,
}

impl Postgres {
    /// On the primary of `database`, whose schema holds [`MIGRATIONS`](super::MIGRATIONS).
    ///
    /// Each worker keeps two exclusive connections to itself, one to fetch and one to settle.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.database.db(Session::new()).begin().await?)
    }

    async fn enqueue_all(&self, jobs: &[NewJob<'_>]) -> Result<Vec<Enqueued>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if is_one_statement(jobs) {
            let connection = self.database.exclusive().await?;
            return insert_alone(&connection, jobs).await;
        }
        let mut tx = self.begin().await?;
        let answers = insert_in(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(answers)
    }

    async fn release_all(&self, worker: WorkerId) -> Result<u64, Error> {
        let mut tx = self.begin().await?;
        tx.execute(sql::RESIGN, &[&worker.0]).await?;
        let released = tx.execute(sql::RELEASE, &[&worker.0]).await?;
        tx.commit().await?;
        Ok(released)
    }

    async fn extend(&self, worker: WorkerId, lease: Duration) -> Result<Renewal, Error> {
        let shared = self.database.shared().await?;
        if shared.query(sql::RENEW, &[&worker.0, &micros(lease)]).await?.is_empty() {
            return Ok(Renewal::Gone);
        }
        let rows = shared.query(sql::CANCELLED, &[&worker.0]).await?;
        let cancelled = rows.iter().map(|row| row.try_get(0).map(JobId)).collect::<Result<_, _>>()?;
        Ok(Renewal::Held { cancelled })
    }
}

impl Store for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            system: "onefold_postgresql",
            completes_in_transaction: true,
            hints: true,
            relays: false,
        }
    }

    fn enqueue_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        jobs: &'a [NewJob<'a>],
    ) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        Box::pin(insert_in(tx, jobs))
    }

    fn enqueue<'a>(&'a self, jobs: &'a [NewJob<'a>]) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        Box::pin(self.enqueue_all(jobs))
    }

    fn hint(&self, queue: &str) {
        self.database.notify(CHANNEL, format!("+{queue}"));
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        let heard = self.database.listen(CHANNEL);
        let signals = stream::unfold(heard, async |mut heard| Some((heard.recv().await?, heard)));
        Box::pin(signals.filter_map(|heard| std::future::ready(signal_of(&heard))))
    }

    fn register<'a>(
        &'a self,
        worker: &'a Identity,
        lease: Duration,
    ) -> BoxFuture<'a, Result<WorkerId, Error>> {
        Box::pin(async move {
            let connection = self.database.exclusive().await?;
            let (node, zone) = (worker.node.as_str(), worker.zone.as_str());
            let rows = connection
                .query_cached(sql::REGISTER, &[&worker.boot.0, &node, &zone, &worker.build, &micros(lease)])
                .await?;
            let row = rows.first().ok_or(onefold_database::Error::NoRow)?;
            Ok(WorkerId(row.try_get(0)?))
        })
    }

    fn renew(&self, worker: WorkerId, lease: Duration) -> BoxFuture<'_, Result<Renewal, Error>> {
        Box::pin(self.extend(worker, lease))
    }

    fn resign(&self, worker: WorkerId) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(self.release_all(worker))
    }

    fn consumer(&self, worker: WorkerId, queues: &[String]) -> Box<dyn Consumer> {
        Box::new(Fetcher::new(self.database.clone(), self.clock.clone(), worker, queues))
    }

    fn settler(&self, worker: WorkerId) -> Box<dyn Settler> {
        Box::new(Ends::new(self.database.clone(), worker))
    }

    fn complete_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        Execution { id, run }: Execution,
        record: Option<Duration>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let completed = match record {
                None => tx.execute(sql::DONE_IN, &[&id.0, &run]).await?,
                Some(took) => tx.execute(sql::RECORD_IN, &[&id.0, &run, &micros(took)]).await?,
            };
            Ok(completed == 1)
        })
    }

    fn unpark<'a>(&'a self, kinds: &'a [(String, u32)]) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let (kinds, versions): (Vec<&str>, Vec<i32>) =
                kinds.iter().map(|(kind, version)| (kind.as_str(), narrow(*version))).unzip();
            let connection = self.database.exclusive().await?;
            let rows = connection.query_cached(sql::UNPARK, &[&kinds, &versions]).await?;
            let mut queues = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
            queues.sort_unstable();
            queues.dedup();
            Ok(queues)
        })
    }

    fn once<'a>(&'a self, tx: &'a mut Tx, message: &'a Message) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let written = tx.execute(sql::ONCE, &[&message.consumer, &message.id, &message.day]).await?;
            Ok(written == 1)
        })
    }

    fn rescue(&self) -> BoxFuture<'_, Result<Rescued, Error>> {
        Box::pin(rescue::rescue(&self.database))
    }

    fn schedule<'a>(
        &'a self,
        name: &'a str,
        from: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<DateTime<Utc>, Error>> {
        Box::pin(async move {
            let connection = self.database.exclusive().await?;
            connection.execute_cached(sql::SCHEDULE, &[&name, &from]).await?;
            let rows = connection.query_cached(sql::LAST_TICK, &[&name]).await?;
            let row = rows.first().ok_or(onefold_database::Error::NoRow)?;
            Ok(row.try_get(0)?)
        })
    }

    fn fire<'a>(
        &'a self,
        name: &'a str,
        tick: DateTime<Utc>,
        job: NewJob<'a>,
    ) -> BoxFuture<'a, Result<Option<Enqueued>, Error>> {
        Box::pin(async move {
            let mut tx = self.begin().await?;
            if tx.execute(sql::FIRE, &[&name, &tick]).await? == 0 {
                tx.roll_back().await?;
                return Ok(None);
            }
            let enqueued = insert_in(&mut tx, std::slice::from_ref(&job)).await?;
            tx.commit().await?;
            Ok(enqueued.first().copied())
        })
    }

    fn tidy(&self, retention: Retention) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(partitions::tidy(&self.database, retention))
    }
}

fn signal_of(heard: &Heard) -> Option<Signal> {
    match heard {
        Heard::Subscribed => Some(Signal::Hearing),
        Heard::Gap => Some(Signal::Deaf),
        Heard::Payload(payload) => match payload.split_at_checked(1)? {
            ("+", queue) => Some(Signal::Ready(queue.to_owned())),
            ("-", id) => id.parse().ok().map(Signal::Cancel),
            _ => None,
        },
    }
}
