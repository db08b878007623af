//! What an engine of the queue is: the contract between it and the loops above.

use crate::delivery::{Fetched, Message};
use crate::{BoxFuture, Enqueued, Envelope, Error, JobId};
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use onefold_core::{Boot, NodeName, Zone};
use onefold_database::Tx;
use std::time::Duration;

/// An engine that keeps jobs.
///
/// **Durability.** What [`Store::enqueue`] answered is kept as safely as a commit of the database. What
/// [`Store::enqueue_in`] stored exists exactly if that transaction commits, and is never seen before.
///
/// **Delivery.** Each job is handed to a worker at least once, and again until it is settled. At one time it
/// belongs to at most one worker whose lease is in force. Only the owner of an execution `(id, run)` can settle
/// it; a settlement that comes after the job was taken away changes nothing, and the answer says so.
///
/// **Order.** A due job of a better priority is handed out before one of a worse, and within a priority the one
/// that was due first, as far as commits let it be seen; no order is promised between workers. An engine with a
/// relay ([`Capabilities::relays`]) orders what has arrived.
///
/// **Time.** Due times and leases run on the engine's clock alone.
///
/// **Cancel safety.** Every future may be dropped. What it had begun then happens wholly or not at all: a batch
/// that was fetched and never received belongs to the worker until its lease ends or it resigns.
pub trait Store: Send + Sync + 'static {
    /// What this engine can do beyond the contract.
    fn capabilities(&self) -> Capabilities;

    /// Stores jobs in the caller's transaction, and answers for each in order.
    fn enqueue_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        jobs: &'a [NewJob<'a>],
    ) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>>;

    /// Stores jobs, all or none, and answers for each in order.
    fn enqueue<'a>(&'a self, jobs: &'a [NewJob<'a>]) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>>;

    /// Tells workers of other nodes that a queue has jobs. May be lost: they poll.
    fn hint(&self, queue: &str);

    /// Hears the hints of other nodes.
    fn signals(&self) -> BoxStream<'static, Signal>;

    /// Makes a worker known, under a lease.
    fn register<'a>(
        &'a self,
        worker: &'a Identity,
        lease: Duration,
    ) -> BoxFuture<'a, Result<WorkerId, Error>>;

    /// Extends a worker's lease. It waits for no standby.
    fn renew(&self, worker: WorkerId, lease: Duration) -> BoxFuture<'_, Result<Renewal, Error>>;

    /// Ends a worker, and gives back all that it holds, no attempt counted. Answers how many jobs those were.
    fn resign(&self, worker: WorkerId) -> BoxFuture<'_, Result<u64, Error>>;

    /// Where a worker takes its jobs from.
    fn consumer(&self, worker: WorkerId, queues: &[String]) -> Box<dyn Consumer>;

    /// Where a worker says what became of its jobs.
    fn settler(&self, worker: WorkerId) -> Box<dyn Settler>;

    /// Completes an execution in its handler's transaction. False if it is no longer the caller's.
    fn complete_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        execution: Execution,
        record: Option<Duration>,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Makes held jobs of these kinds, up to these versions, available. Answers their queues.
    fn unpark<'a>(&'a self, kinds: &'a [(String, u32)]) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Notes a message in the transaction of its effects. True if it is the first; a twin in another transaction
    /// waits for that one's end.
    fn once<'a>(&'a self, tx: &'a mut Tx, message: &'a Message) -> BoxFuture<'a, Result<bool, Error>>;

    /// Frees the jobs of workers whose lease has ended; their attempt is spent. Safe to call from several nodes.
    fn rescue(&self) -> BoxFuture<'_, Result<Rescued, Error>>;

    /// Makes a schedule known and answers its last tick; a new one's is `from`.
    fn schedule<'a>(
        &'a self,
        name: &'a str,
        from: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<DateTime<Utc>, Error>>;

    /// Stores the job of a schedule's tick, if no later or equal tick has fired: claim and job are one commit.
    fn fire<'a>(
        &'a self,
        name: &'a str,
        tick: DateTime<Utc>,
        job: NewJob<'a>,
    ) -> BoxFuture<'a, Result<Option<Enqueued>, Error>>;

    /// Drops what has outlived its retention, and makes room for the days to come. Safe to call from several
    /// nodes.
    fn tidy(&self, retention: Retention) -> BoxFuture<'_, Result<(), Error>>;
}

/// Where one worker takes its jobs from. Kept for the life of a lease, since it remembers where it was.
pub trait Consumer: Send {
    /// Takes up to `limit` due jobs, their attempt counted. None if the worker's lease has ended.
    fn fetch(&mut self, limit: usize) -> BoxFuture<'_, Result<Batch, Error>>;
}

/// Where one worker says what became of its jobs.
pub trait Settler: Send {
    /// Settles executions. Answers those that were still the worker's; the others were taken from it. May be
    /// repeated after an error: what took effect before is then among the others.
    fn settle<'a>(&'a mut self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<Vec<JobId>, Error>>;
}

/// What engines differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine's name in spans and metrics: OpenTelemetry's `messaging.system`.
    pub system: &'static str,
    /// [`Store::complete_in`] works.
    pub completes_in_transaction: bool,
    /// A hint reaches other nodes within milliseconds.
    pub hints: bool,
    /// A due job comes to workers through a relay, some milliseconds after its commit: until then it is handed to
    /// nobody.
    pub relays: bool,
}

/// A job to be stored: an envelope and what the kind's policy adds.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// What the producer says.
    pub envelope: &'a Envelope,
    /// How often it may be tried.
    pub attempts_max: u32,
}

/// A worker's place in the engine: one for each start and each lease, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub i64);

/// Who a worker is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its node.
    pub node: NodeName,
    /// Its zone.
    pub zone: Zone,
    /// Which start this is; a lost lease makes a new one.
    pub boot: Boot,
    /// The build it runs.
    pub build: String,
}

/// What a renewal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is extended. These jobs of the worker are to be cancelled.
    Held {
        /// The jobs that somebody wants cancelled.
        cancelled: Vec<JobId>,
    },
    /// The worker has been rescued: nothing that it holds is its own.
    Gone,
}

/// What a fetch brought.
#[derive(Debug)]
pub struct Batch {
    /// The jobs, in the order in which they should run.
    pub jobs: Vec<Fetched>,
    /// Whether there is more.
    pub more: More,
}

/// Whether a queue has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// The batch was full.
    Yes,
    /// Nothing was found where this fetch looked; another within this time will look everywhere.
    Within(Duration),
    /// Nothing is due. The next job known is due after this time, if there is one.
    No(Option<Duration>),
}

/// One execution of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    /// The job.
    pub id: JobId,
    /// Which execution: the fence.
    pub run: i32,
}

/// What became of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which one.
    pub execution: Execution,
    /// What became of it.
    pub end: End,
}

/// How an execution is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Done; recorded in the history with its run time, or not at all.
    Done(Option<Duration>),
    /// To be tried again after a delay.
    Retry {
        /// The delay.
        delay: Duration,
        /// What happened.
        error: Attempted,
    },
    /// To be run again after a delay, no attempt counted.
    Snooze(Duration),
    /// To be run again at once, no attempt counted: the worker stops.
    Release,
    /// Held for a worker that knows the kind, no attempt counted.
    Park,
    /// A dead letter.
    Dead(Attempted),
    /// Cancelled; recorded in the history.
    Cancelled(Duration),
}

/// An attempt that failed, as the error history keeps it: the last five of a job.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attempted {
    /// When it failed.
    pub at: DateTime<Utc>,
    /// Which attempt it was.
    pub attempt: u32,
    /// What happened, cut to a sane length.
    pub error: String,
    /// Where it ran; none for a worker that died in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// What a rescue found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Workers whose lease had ended.
    pub workers: u64,
    /// Jobs that are available again, by queue.
    pub freed: Vec<String>,
    /// Jobs whose last attempt was spent: the kinds of the new dead letters.
    pub dead: Vec<String>,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From now on hints arrive.
    Hearing,
    /// Hints are lost from now on.
    Deaf,
    /// A queue has jobs.
    Ready(String),
    /// Somebody wants this job cancelled.
    Cancel(JobId),
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days of history.
    pub history_days: u32,
    /// Days of inbox rows, at the least: a row is kept as long as its job may be delivered again.
    pub inbox_days: u32,
}
