//! The producer's side of the queue, and what keeps a handler's effects single.

use crate::buffer::{Buffer, Buffered, Buffering, Outlet};
use crate::delivery::Delivery;
use crate::kind::Kinds;
use crate::metrics::Produced;
use crate::store::{Execution, NewJob, Store};
use crate::wake::Wakes;
use crate::{BoxFuture, Config, Enqueued, Envelope, Error};
use onefold_core::metrics::Metrics;
use onefold_core::{Lsn, TaskGroup};
use onefold_database::{Effect, OutboxRecord, Tx};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Jobs that one call may enqueue.
pub const ENQUEUE_JOBS_MAX: usize = 10_000;

/// A node's way to the queue. Cloning is cheap.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    kinds: Arc<Kinds>,
    wakes: Wakes,
    buffer: Buffer,
    produced: Arc<Produced>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("kinds", &self.0.kinds).finish_non_exhaustive()
    }
}

impl Queue {
    /// Over an engine. The buffer's task runs in `tasks`; once they are told to stop it flushes, and ends when
    /// nothing has come for a quarter of a second.
    pub fn start(
        store: Arc<dyn Store>,
        kinds: Arc<Kinds>,
        config: &Config,
        tasks: &TaskGroup,
        metrics: &Metrics,
    ) -> Self {
        let (wakes, produced) = (Wakes::default(), Arc::new(Produced::new(&kinds, metrics)));
        let outlet =
            Outlet { store: Arc::clone(&store), wakes: wakes.clone(), produced: Arc::clone(&produced) };
        let buffer = Buffer::start(outlet, config, tasks);
        Self(Arc::new(Inner { store, kinds, wakes, buffer, produced }))
    }

    /// Enqueues in the caller's transaction: the job exists exactly if that commits. Workers are woken after the
    /// commit.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] and [`Error::TooLarge`], which leave the transaction usable; [`Error::Database`],
    /// which poisons it.
    pub async fn enqueue_in(&self, tx: &mut Tx, envelope: Envelope) -> Result<Enqueued, Error> {
        let span = self.span(&envelope.queue, 1);
        let mut envelope = envelope;
        span.in_scope(|| envelope.continue_trace());
        let jobs = [self.admit(&envelope)?];
        let enqueuing = self.0.store.enqueue_in(tx, &jobs).instrument(span);
        let answers = self.0.produced.timed(enqueuing).await?;
        let answer = answers.first().copied().unwrap_or(Enqueued::Duplicate(None));
        if answer.stored().is_some() {
            tx.attach(Hint { inner: Arc::clone(&self.0), envelope });
        }
        Ok(answer)
    }

    /// Enqueues many jobs, all or none, in a transaction of its own. Answers for each in order.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] and [`Error::TooLarge`] before anything is stored; [`Error::Database`], where
    /// nothing was stored unless its class is an unknown outcome.
    pub async fn enqueue(&self, mut envelopes: Vec<Envelope>) -> Result<Vec<Enqueued>, Error> {
        let size = envelopes.len();
        if size > ENQUEUE_JOBS_MAX {
            return Err(Error::TooLarge { what: "the number of jobs", size, limit: ENQUEUE_JOBS_MAX });
        }
        let span = self.span(envelopes.first().map_or("", |envelope| &envelope.queue), size);
        span.in_scope(|| envelopes.iter_mut().for_each(Envelope::continue_trace));
        let jobs = envelopes.iter().map(|envelope| self.admit(envelope)).collect::<Result<Vec<_>, _>>()?;
        let enqueuing = self.0.store.enqueue(&jobs).instrument(span);
        let answers = self.0.produced.timed(enqueuing).await?;
        for (envelope, answer) in envelopes.iter().zip(&answers) {
            if answer.stored().is_some() {
                self.0.announce(envelope);
            }
        }
        Ok(answers)
    }

    /// Enqueues without waiting: the job is stored with others some milliseconds later. It is lost if this
    /// process is killed in that time, and dropped, counted, if the buffer is full.
    ///
    /// # Errors
    /// [`Error::UnknownKind`], [`Error::TooLarge`].
    pub fn enqueue_buffered(&self, mut envelope: Envelope) -> Result<Buffered, Error> {
        self.span(&envelope.queue, 1).in_scope(|| envelope.continue_trace());
        let attempts_max = self.admit(&envelope)?.attempts_max;
        let buffered = self.0.buffer.push(Buffering { envelope, attempts_max });
        if buffered == Buffered::Dropped {
            self.0.produced.dropped.inc();
        }
        Ok(buffered)
    }

    /// Waits until everything buffered so far is stored.
    pub async fn flush(&self) {
        self.0.buffer.flush().await;
    }

    /// Notes in `tx` that this job's effects are in it. False if an earlier delivery committed them already: then
    /// there is nothing to do. A twin that runs at the same time waits for the first one's commit.
    ///
    /// # Errors
    /// [`Error::OnceTwice`] where this attempt has asked before; [`Error::Database`].
    pub async fn once(&self, tx: &mut Tx, delivery: &Delivery) -> Result<bool, Error> {
        if !delivery.first_once() {
            return Err(Error::OnceTwice(delivery.job.id));
        }
        self.0.store.once(tx, &delivery.message()).await
    }

    /// Completes the job in the transaction of its effects: both commit or neither, without an inbox. The worker
    /// settles nothing then. An alternative to [`Queue::once`], one statement cheaper. A handler that succeeds
    /// without having committed `tx` has failed.
    ///
    /// # Errors
    /// [`Error::Lost`] where a rescue has given the job to another worker: the handler must not commit.
    /// [`Error::Database`].
    pub async fn complete_in(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), Error> {
        let job = &delivery.job;
        let history = self.0.kinds.policy(&job.kind)?.history;
        let record = history.records(job.attempt).then_some(Duration::ZERO);
        let execution = Execution { id: job.id, run: job.run };
        if !self.0.store.complete_in(tx, execution, record).await? {
            return Err(Error::Lost(job.id));
        }
        delivery.mark_completing();
        tx.attach(Completed(delivery.clone()));
        Ok(())
    }

    /// The engine.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }

    /// The kinds that this build knows.
    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.0.kinds
    }

    pub(crate) fn wakes(&self) -> Wakes {
        self.0.wakes.clone()
    }

    /// Wakes the workers of a queue, here and elsewhere.
    pub(crate) fn wake(&self, queue: &str) {
        self.0.wakes.wake(queue);
        self.0.store.hint(queue);
    }

    fn span(&self, queue: &str, jobs: usize) -> tracing::Span {
        tracing::info_span!(
            "enqueue",
            otel.kind = "producer",
            messaging.system = self.0.store.capabilities().system,
            messaging.operation.name = "enqueue",
            messaging.operation.type = "send",
            messaging.destination.name = queue,
            messaging.batch.message_count = jobs,
        )
    }

    /// A job that may be stored: known, and within the limits.
    pub(crate) fn admit<'a>(&self, envelope: &'a Envelope) -> Result<NewJob<'a>, Error> {
        let policy = self.0.kinds.policy(&envelope.kind)?;
        envelope.check()?;
        Ok(NewJob { envelope, attempts_max: envelope.attempts_max.unwrap_or(policy.attempts_max).max(1) })
    }
}

impl Inner {
    fn announce(&self, envelope: &Envelope) {
        self.produced.enqueued(&envelope.kind);
        self.wakes.wake(&envelope.queue);
        self.store.hint(&envelope.queue);
    }
}

/// Wakes workers once the job can be seen.
struct Hint {
    inner: Arc<Inner>,
    envelope: Envelope,
}

impl Effect for Hint {
    fn record(&self) -> Option<OutboxRecord> {
        None
    }

    fn committed(self: Box<Self>, _: Lsn) -> BoxFuture<'static, bool> {
        self.inner.announce(&self.envelope);
        Box::pin(std::future::ready(true))
    }
}

/// Tells the worker that the completion is committed.
struct Completed(Delivery);

impl Effect for Completed {
    fn record(&self) -> Option<OutboxRecord> {
        None
    }

    fn committed(self: Box<Self>, _: Lsn) -> BoxFuture<'static, bool> {
        self.0.mark_completed();
        Box::pin(std::future::ready(true))
    }
}
