//! What a build knows of each kind of job: its policy and its handler.

use crate::delivery::{Delivery, Failure};
use crate::{BoxFuture, Error};
use onefold_core::retry::Backoff;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Runs the jobs of one kind.
///
/// A handler may run more than once for one job, even at once in two workers for a moment after a lost lease.
/// It is dropped at an await when its timeout passes, its job is cancelled, its worker stops or loses its
/// lease. Effects in the database are kept single by [`once`](crate::Queue::once) or
/// [`complete_in`](crate::Queue::complete_in); effects elsewhere are at least once, with the job's id as key.
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt.
    fn run(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), Failure>>;
}

impl<F> Handler for F
where
    F: Fn(Delivery) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync + 'static,
{
    fn run(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), Failure>> {
        self(delivery)
    }
}

/// Which ended jobs of a kind leave a row in the history. Dead letters are always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// None: half the cost of a job.
    #[default]
    None,
    /// Those that needed more than one attempt, or were cancelled.
    Failures,
    /// All.
    All,
}

impl History {
    /// Whether a job that succeeded at this attempt is recorded.
    pub(crate) fn records(self, attempt: u32) -> bool {
        match self {
            Self::None => false,
            Self::Failures => attempt > 1,
            Self::All => true,
        }
    }
}

/// How the jobs of one kind are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The newest layout of the arguments that this build reads.
    pub version: u32,
    /// How often a job is tried before it is dead.
    pub attempts_max: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What is kept of ended jobs.
    pub history: History,
}

impl Default for Policy {
    /// 10 attempts over about a quarter of an hour on average, five minutes for each, no history.
    fn default() -> Self {
        Self {
            version: 1,
            attempts_max: 10,
            backoff: Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(10) },
            timeout: Duration::from_mins(5),
            history: History::None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) policy: Policy,
    pub(crate) handler: Arc<dyn Handler>,
}

/// The kinds that a build knows.
#[derive(Clone, Default)]
pub struct Kinds(HashMap<String, Kind>);

impl Kinds {
    /// No kinds yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a kind known.
    ///
    /// # Errors
    /// [`Error::DuplicateKind`] where it is known already.
    pub fn register(
        &mut self,
        kind: impl Into<String>,
        policy: Policy,
        handler: impl Handler,
    ) -> Result<(), Error> {
        let kind = kind.into();
        if self.0.contains_key(&kind) {
            return Err(Error::DuplicateKind(kind));
        }
        self.0.insert(kind, Kind { policy, handler: Arc::new(handler) });
        Ok(())
    }

    /// The policy of a kind.
    ///
    /// # Errors
    /// [`Error::UnknownKind`].
    pub fn policy(&self, kind: &str) -> Result<Policy, Error> {
        self.0.get(kind).map(|kind| kind.policy).ok_or_else(|| Error::UnknownKind(kind.to_owned()))
    }

    /// The kind of a job, if this build can run it.
    pub(crate) fn runnable(&self, kind: &str, version: u32) -> Option<&Kind> {
        self.0.get(kind).filter(|known| version <= known.policy.version)
    }

    /// Every kind with its newest version.
    pub(crate) fn versions(&self) -> Vec<(String, u32)> {
        self.0.iter().map(|(kind, known)| (kind.clone(), known.policy.version)).collect()
    }

    /// The names of all kinds.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(kind, known)| (kind, known.policy))).finish()
    }
}
