//! An engine whose renewals go wrong, for workers that must lose their lease.

use crate::delivery::Message;
use crate::store::{
    Capabilities, Consumer, Execution, Identity, NewJob, Renewal, Rescued, Retention, Settler, Signal, Store,
    WorkerId,
};
use crate::{BoxFuture, Enqueued, Error};
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use onefold_database::Tx;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An engine as it is, but for its renewals.
pub struct Faulty {
    inner: Arc<dyn Store>,
    renewals: Mutex<Renewals>,
}

/// What becomes of renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewals {
    /// They reach the engine.
    Honest,
    /// They say "held" and do nothing: the worker goes on after its lease has ended, as one does whose process was
    /// suspended.
    Lying,
    /// They never end: the engine is out of reach.
    Hanging,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    /// Honest so far.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, renewals: Mutex::new(Renewals::Honest) })
    }

    /// What becomes of renewals from now on.
    pub fn renewals(&self, renewals: Renewals) {
        *self.renewals.lock().unwrap_or_else(PoisonError::into_inner) = renewals;
    }
}

impl Store for Faulty {
    fn renew(&self, worker: WorkerId, lease: Duration) -> BoxFuture<'_, Result<Renewal, Error>> {
        match *self.renewals.lock().unwrap_or_else(PoisonError::into_inner) {
            Renewals::Honest => self.inner.renew(worker, lease),
            Renewals::Lying => Box::pin(std::future::ready(Ok(Renewal::Held { cancelled: Vec::new() }))),
            Renewals::Hanging => Box::pin(std::future::pending()),
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn enqueue_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        jobs: &'a [NewJob<'a>],
    ) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        self.inner.enqueue_in(tx, jobs)
    }

    fn enqueue<'a>(&'a self, jobs: &'a [NewJob<'a>]) -> BoxFuture<'a, Result<Vec<Enqueued>, Error>> {
        self.inner.enqueue(jobs)
    }

    fn hint(&self, queue: &str) {
        self.inner.hint(queue);
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        self.inner.signals()
    }

    fn register<'a>(
        &'a self,
        worker: &'a Identity,
        lease: Duration,
    ) -> BoxFuture<'a, Result<WorkerId, Error>> {
        self.inner.register(worker, lease)
    }

    fn resign(&self, worker: WorkerId) -> BoxFuture<'_, Result<u64, Error>> {
        self.inner.resign(worker)
    }

    fn consumer(&self, worker: WorkerId, queues: &[String]) -> Box<dyn Consumer> {
        self.inner.consumer(worker, queues)
    }

    fn settler(&self, worker: WorkerId) -> Box<dyn Settler> {
        self.inner.settler(worker)
    }

    fn complete_in<'a>(
        &'a self,
        tx: &'a mut Tx,
        execution: Execution,
        record: Option<Duration>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.inner.complete_in(tx, execution, record)
    }

    fn unpark<'a>(&'a self, kinds: &'a [(String, u32)]) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.inner.unpark(kinds)
    }

    fn once<'a>(&'a self, tx: &'a mut Tx, message: &'a Message) -> BoxFuture<'a, Result<bool, Error>> {
        self.inner.once(tx, message)
    }

    fn rescue(&self) -> BoxFuture<'_, Result<Rescued, Error>> {
        self.inner.rescue()
    }

    fn schedule<'a>(
        &'a self,
        name: &'a str,
        from: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<DateTime<Utc>, Error>> {
        self.inner.schedule(name, from)
    }

    fn fire<'a>(
        &'a self,
        name: &'a str,
        tick: DateTime<Utc>,
        job: NewJob<'a>,
    ) -> BoxFuture<'a, Result<Option<Enqueued>, Error>> {
        self.inner.fire(name, tick, job)
    }

    fn tidy(&self, retention: Retention) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.tidy(retention)
    }
}
