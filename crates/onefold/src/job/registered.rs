//! Jobs with their types erased: what a worker looks up by kind.

use super::{Job, JobCx};
use crate::error::{Error, Kind, Result};
use crate::extract::Context;
use crate::level::LevelPolicy;
use crate::node::{Node, Seat};
use onefold_core::{Deadline, Lsn};
use onefold_database::{Session, Token};
use onefold_queue::{BoxFuture, Delivery, Envelope, Failure, Handler, Policy, Schedule};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
type Run = Arc<dyn Fn(&str, JobCx) -> Running + Send + Sync>;

/// A kind of job.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) kind: &'static str,
    attempts_max: u32,
    timeout: Duration,
    run: Run,
}

impl Registered {
    pub(crate) fn of<J: Job>() -> Self {
        let run = |arguments: &str, cx: JobCx| -> Running {
            match serde_json::from_str::<J>(arguments) {
                Ok(job) => Box::pin(retried(job.run(cx))),
                // Another attempt reads the same arguments.
                Err(error) => {
                    Box::pin(std::future::ready(Err(Failure::Dead(format!("its arguments: {error}")))))
                }
            }
        };
        Self { kind: J::KIND, attempts_max: J::ATTEMPTS, timeout: J::TIMEOUT, run: Arc::new(run) }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy { attempts_max: self.attempts_max, timeout: self.timeout, ..Policy::default() }
    }

    /// What the queue calls: it builds the job's context and runs it.
    pub(crate) fn handler(&self, seat: &Seat) -> impl Handler + use<> {
        let (seat, run, timeout) = (Arc::clone(seat), Arc::clone(&self.run), self.timeout);
        move |delivery: Delivery| -> BoxFuture<'static, Result<(), Failure>> {
            let Some(node) = seat.get().and_then(Weak::upgrade) else {
                return Box::pin(std::future::ready(Err(Failure::Snooze(Duration::from_secs(1)))));
            };
            let cx = JobCx::new(context(node, &delivery, timeout), delivery.clone());
            let running = run(delivery.job.args.get(), cx);
            Box::pin(async move {
                running.await?;
                // The queue's span says which; the trace is that of whoever enqueued it.
                tracing::info!("job done");
                Ok(())
            })
        }
    }
}

async fn retried(work: impl Future<Output = Result>) -> Result<(), Failure> {
    work.await.map_err(|error| Failure::Retry(error.to_string()))
}

/// A job sees what its enqueuer had seen, and the transaction that enqueued it.
fn context(node: Arc<Node>, delivery: &Delivery, timeout: Duration) -> Context {
    let keys = &node.keys;
    let deadline = Deadline::after(node.clock.now(), timeout);
    let session = Session::resume(delivery.job.session.as_deref(), keys).with_deadline(deadline);
    if let Some(timeline) = node.database.timeline()
        && delivery.job.seen > Lsn::ZERO
    {
        session.cover(&Token { cluster: keys.cluster(), timeline, lsn: delivery.job.seen, confirmed: true });
    }
    Context { node, session, levels: LevelPolicy::default(), claim: None, client: None }
}

/// A task that a schedule runs: a job of its own kind, without arguments.
#[derive(Clone)]
pub(crate) struct Scheduled {
    name: &'static str,
    expression: &'static str,
    pub(crate) job: Registered,
}

/// How often and for how long a scheduled task is tried: its next time comes anyway.
const SCHEDULED_ATTEMPTS_MAX: u32 = 3;
const SCHEDULED_TIMEOUT: Duration = Duration::from_mins(10);

impl Scheduled {
    pub(crate) fn new<F, Fut>(name: &'static str, expression: &'static str, task: F) -> Self
    where
        F: Fn(JobCx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let run = move |_: &str, cx: JobCx| -> Running { Box::pin(retried(task(cx))) };
        // It lives as long as the process, and there is one for each schedule of the application.
        let kind = Box::leak(format!("cron.{name}").into_boxed_str());
        let job = Registered {
            kind,
            attempts_max: SCHEDULED_ATTEMPTS_MAX,
            timeout: SCHEDULED_TIMEOUT,
            run: Arc::new(run),
        };
        Self { name, expression, job }
    }

    /// As the queue's leader runs it.
    pub(crate) fn schedule(&self) -> Result<Schedule> {
        let envelope = Envelope::new(self.job.kind, &())?.attempts(SCHEDULED_ATTEMPTS_MAX);
        Schedule::new(self.name, self.expression, envelope)
            .map_err(|error| Error::new(Kind::Internal, format!("the schedule `{}`: {error}", self.name)))
    }
}
