//! The engine: which part answers which promise.

use super::ends::{self, Ends};
use super::fetcher::Fetcher;
use super::hand::Hand;
use super::payer;
use super::relay::{self, Relay};
use super::rescue;
use super::server::{NATS, Server};
use super::sql;
use super::streams::{self, Streams};
use crate::delivery::Message;
use crate::postgres::Postgres;
use crate::store::{
    Capabilities, Consumer, Execution, Identity, NewJob, Renewal, Rescued, Retention, Settler, Signal, Store,
    WorkerId,
};
use crate::{BoxFuture, Config, Enqueued, Error, JobId};
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Lsn, TaskGroup};
use onefold_database::{Database, Effect, OutboxRecord, Session, Tx};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The queue on NATS JetStream. Cloning is cheap.
#[derive(Clone)]
pub struct Nats(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) postgres: Postgres,
    pub(super) streams: Streams,
    pub(super) clock: Clock,
    /// Rings when a row may be due.
    pub(super) due: Notify,
    /// Rings when acknowledgements are owed.
    pub(super) owes: Notify,
    hands: Mutex<HashMap<WorkerId, Arc<Hand>>>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("address", &self.0.streams.server.address).finish_non_exhaustive()
    }
}

impl Nats {
    /// On these servers, and on the primary of `database`, whose schema holds [`MIGRATIONS`](crate::MIGRATIONS).
    /// It relays nothing until [`Nats::start`].
    ///
    /// # Errors
    /// [`Error::Unusable`] where the servers answer and cannot be used.
    pub async fn connect(
        config: &Config,
        database: Database,
        clock: Clock,
        name: &str,
    ) -> Result<Self, Error> {
        let server = Server::connect(config, name).await?;
        Ok(Self(Arc::new(Shared {
            postgres: Postgres::new(database.clone(), clock.clone()),
            streams: Streams::new(server, database.clone()),
            database,
            clock,
            due: Notify::new(),
            owes: Notify::new(),
            hands: Mutex::default(),
        })))
    }

    /// Starts its tasks: the relay, and what acknowledges.
    pub fn start(&self, tasks: &TaskGroup, metrics: &Metrics) {
        // Two: while one waits for its acknowledgements, the other takes the next rows.
        for name in ["queue-relay-1", "queue-relay-2"] {
            tasks.spawn(name, Relay::new(self.clone(), metrics).run(tasks.stopping()));
        }
        let (nats, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("queue-relay-ear", async move {
            stopping.run_until_cancelled(relay::hear(nats)).await;
        });
        tasks.spawn("queue-payer", payer::run(self.clone(), tasks.stopping()));
    }

    /// The connection to the servers.
    pub fn server(&self) -> &Server {
        &self.0.streams.server
    }

    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.0.database.db(Session::new()).begin().await?)
    }

    fn hands_mut(&self) -> MutexGuard<'_, HashMap<WorkerId, Arc<Hand>>> {
        self.0.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workers of this process.
    pub(super) fn hands(&self) -> Vec<Arc<Hand>> {
        self.hands_mut().values().cloned().collect()
    }

    fn hand(&self, worker: WorkerId) -> Arc<Hand> {
        Arc::clone(self.hands_mut().entry(worker).or_insert_with(|| Arc::new(Hand::new(worker))))
    }

    async fn extend(&self, worker: WorkerId, lease: Duration) -> Result<Renewal, Error> {
        if self.0.postgres.renew(worker, lease).await? == Renewal::Gone {
            self.hands_mut().remove(&worker);
            return Ok(Renewal::Gone);
        }
        let rows = self.0.database.shared().await?.query(sql::CANCELLED_OF, &[&worker.0]).await?;
        let cancelled = rows.iter().map(|row| row.try_get(0).map(JobId)).collect::<Result<_, _>>()?;
        Ok(Renewal::Held { cancelled })
    }
}

/// Whole days since a moment, and two: the day of its enqueue, and today.
fn days_since(moment: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    u32::try_from((now - moment).num_days()).unwrap_or(0).saturating_add(2)
}

fn check(jobs: &[NewJob<'_>]) -> Result<(), Error> {
    jobs.iter().try_for_each(|job| streams::check_name(&job.envelope.queue))
}

impl Store for Nats {
    fn capabilities(&self) -> Capabilities {
        Capabilities { system: NATS, completes_in_transaction: true, hints: true, relays: true }
    }

    fn enqueue_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        jobs: &'a [NewJob<'a>],
    ) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        Box::pin(async move {
            check(jobs)?;
            self.0.postgres.enqueue_in(tx, jobs).await
        })
    }

    fn enqueue<'a>(&'a self, jobs: &'a [NewJob<'a>]) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        Box::pin(async move {
            check(jobs)?;
            self.0.postgres.enqueue(jobs).await
        })
    }

    /// The relay hints when the job has arrived.
    fn hint(&self, _: &str) {
        self.0.due.notify_one();
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        self.0.postgres.signals()
    }

    fn register<'a>(
        &'a self,
        worker: &'a Identity,
        lease: Duration,
    ) -> BoxFuture<'a, Result<WorkerId, Error>> {
        self.0.postgres.register(worker, lease)
    }

    fn renew(&self, worker: WorkerId, lease: Duration) -> BoxFuture<'_, Result<Renewal, Error>> {
        Box::pin(self.extend(worker, lease))
    }

    fn resign(&self, worker: WorkerId) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            self.square(&self.hand(worker)).await;
            let released = rescue::resign(self, worker).await?;
            self.hands_mut().remove(&worker);
            Ok(released)
        })
    }

    fn consumer(&self, worker: WorkerId, queues: &[String]) -> Box<dyn Consumer> {
        Box::new(Fetcher::new(self.clone(), self.hand(worker), queues))
    }

    fn settler(&self, worker: WorkerId) -> Box<dyn Settler> {
        Box::new(Ends::new(self.clone(), self.hand(worker)))
    }

    fn complete_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        execution: Execution,
        record: Option<Duration>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let found = self.hands().into_iter().find_map(|hand| Some((hand.get(execution)?, hand)));
            let Some((held, hand)) = found else { return Ok(false) };
            let completed = ends::complete_in(tx, &held, execution, record).await?;
            if completed {
                tx.attach(Completed { nats: self.clone(), hand, execution });
            }
            Ok(completed)
        })
    }

    fn unpark<'a>(&'a self, kinds: &'a [(String, u32)]) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let queues = self.0.postgres.unpark(kinds).await?;
            if !queues.is_empty() {
                self.0.due.notify_one();
            }
            Ok(queues)
        })
    }

    fn once<'a>(&'a self, tx: &'a mut Tx, message: &'a Message) -> BoxFuture<'a, Result<bool, Error>> {
        self.0.postgres.once(tx, message)
    }

    fn rescue(&self) -> BoxFuture<'_, Result<Rescued, Error>> {
        Box::pin(rescue::rescue(self))
    }

    fn schedule<'a>(
        &'a self,
        name: &'a str,
        from: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<DateTime<Utc>, Error>> {
        self.0.postgres.schedule(name, from)
    }

    fn fire<'a>(
        &'a self,
        name: &'a str,
        tick: DateTime<Utc>,
        job: NewJob<'a>,
    ) -> BoxFuture<'a, Result<Option<Enqueued>, Error>> {
        self.0.postgres.fire(name, tick, job)
    }

    fn tidy(&self, retention: Retention) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let connection = self.0.database.exclusive().await?;
            connection.execute_cached(sql::PRUNE_CANCELLED, &[]).await?;
            connection.execute_cached(sql::PRUNE_COMPLETED, &[]).await?;
            drop(connection);
            // A job that may still be delivered needs its row of the inbox, however old it is, and Postgres sees
            // those in tables only. While NATS is away nobody knows: then nothing is dropped.
            if !self.server().is_connected() {
                return Ok(());
            }
            let inbox_days = match self.oldest().await? {
                Some(oldest) => retention.inbox_days.max(days_since(oldest, self.0.clock.wall().into())),
                None => retention.inbox_days,
            };
            self.0.postgres.tidy(Retention { inbox_days, ..retention }).await
        })
    }
}

/// Has the acknowledgement follow the commit that completes a job.
struct Completed {
    nats: Nats,
    hand: Arc<Hand>,
    execution: Execution,
}

impl Effect for Completed {
    fn record(&self) -> Option<OutboxRecord> {
        None
    }

    fn committed(self: Box<Self>, _: Lsn) -> BoxFuture<'static, bool> {
        self.hand.complete(self.execution);
        self.nats.0.owes.notify_one();
        Box::pin(std::future::ready(true))
    }
}
