//! Jobs: what a team writes, and how the queue runs it without knowing its type.

mod envelope;
mod registered;

pub(crate) use envelope::envelope;
pub(crate) use registered::{Registered, Scheduled};

use crate::extract::{Cache, Context, Db, Flags, Jobs, Locks, Settings};
use crate::{Result, Tx};
use onefold_queue::Delivery;
use serde::{Serialize, de::DeserializeOwned};
use std::future::Future;
use std::time::Duration;

/// A piece of work that runs later, on a worker, at least once; what it does inside [`JobCx::once`] is done
/// once.
///
/// The struct's fields are its arguments, and travel as JSON. Add fields with `#[serde(default)]`; for another
/// meaning, take another `KIND`.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name on the wire: never the Rust type's, so that a type can be renamed.
    const KIND: &'static str;
    /// How often it is tried before it becomes a dead letter.
    const ATTEMPTS: u32 = 20;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_mins(1);

    /// Does the work. An error is tried again later.
    fn run(self, cx: JobCx) -> impl Future<Output = Result> + Send;
}

/// What a job has at hand. It carries the session of the request that enqueued it, so that the job sees at
/// least what that request had written.
#[derive(Clone)]
pub struct JobCx {
    /// The database.
    pub db: Db,
    /// The cache.
    pub cache: Cache,
    /// Other jobs.
    pub jobs: Jobs,
    /// Locks with fencing tokens.
    pub locks: Locks,
    /// Flags.
    pub flags: Flags,
    /// Settings.
    pub settings: Settings,
    context: Context,
    delivery: Delivery,
}

impl JobCx {
    pub(crate) fn new(context: Context, delivery: Delivery) -> Self {
        Self {
            db: Db::new(context.clone()),
            cache: Cache::new(context.clone()),
            jobs: Jobs::new(context.clone()),
            locks: Locks::new(context.clone()),
            flags: Flags::new(context.clone()),
            settings: Settings::new(context.clone()),
            context,
            delivery,
        }
    }

    /// The job's id: the same for every attempt, so that it serves as an idempotency key towards others.
    pub fn id(&self) -> i64 {
        self.delivery.job.id.0
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.delivery.job.attempt
    }

    /// Begins the transaction of this job's effects, with a row that says they are done. `None` where they are
    /// there already, by an earlier delivery whose completion was lost.
    ///
    /// # Errors
    /// Those of the database; `Internal` on a second call in one attempt, which would make effects that the row
    /// does not cover.
    pub async fn once(&self) -> Result<Option<Tx>> {
        let mut tx = self.db.begin().await?;
        let is_first = self.context.node.queue.once(&mut tx, &self.delivery).await?;
        Ok(is_first.then_some(tx))
    }
}
