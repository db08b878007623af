//! A job before it is stored: what a producer says about it.

use crate::Error;
use chrono::{DateTime, Utc};
use onefold_core::TraceContext;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

/// The queue of jobs that name none.
pub const DEFAULT_QUEUE: &str = "default";
/// The largest arguments of one job. A job carries ids; what is large belongs into a table or a bucket.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;
/// The longest kind, queue name, unique key, session and deadline.
pub const NAME_BYTES_MAX: usize = 512;

/// A stored job's id: unique in its system, kept over retries and replays. A stable idempotency key for
/// effects outside the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Which of the due jobs of a worker's queues run first. A better one never waits behind a worse one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before everything.
    Urgent = 0,
    /// Before most.
    High = 1,
    /// What jobs have that say nothing.
    #[default]
    Normal = 2,
    /// When there is nothing else to do.
    Low = 3,
}

impl Priority {
    /// Every priority, best first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::High, Self::Normal, Self::Low];

    /// As the engine stores it; what it does not know is low.
    pub(crate) fn from_number(number: i16) -> Self {
        match number {
            0 => Self::Urgent,
            1 => Self::High,
            2 => Self::Normal,
            _ => Self::Low,
        }
    }
}

/// When a job may start, by the engine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Due {
    /// As soon as it is stored.
    #[default]
    Now,
    /// At a moment.
    At(DateTime<Utc>),
    /// So long after it is stored.
    After(Duration),
}

/// A key that admits one job of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// The key, within the job's kind.
    pub key: String,
    /// Without a window the key is free when the job has ended. With one, it is also taken for this long from
    /// the enqueue on.
    pub window: Option<Duration>,
}

/// Everything that travels with a job.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The wire name, as in `click.v1`; never the name of a Rust type.
    pub kind: String,
    /// The layout of the arguments. A worker that knows only older ones leaves the job to a newer worker.
    pub version: u32,
    /// The arguments, as JSON.
    pub args: Box<RawValue>,
    /// The queue.
    pub queue: String,
    /// The priority within a worker's queues.
    pub priority: Priority,
    /// When it may start.
    pub due: Due,
    /// How often it may be tried; the kind's policy decides where it says nothing.
    pub attempts_max: Option<u32>,
    /// The key that makes it unique.
    pub unique: Option<Unique>,
    /// The trace that it belongs to: that of the task which made the envelope.
    pub trace: Option<TraceContext>,
    /// The enqueuer's session token, handed through unread.
    pub session: Option<String>,
    /// The moment after which nobody wants the effect, handed through unread.
    pub deadline: Option<String>,
}

impl Envelope {
    /// A job of `kind`, due now in the default queue, within the current trace.
    ///
    /// # Errors
    /// [`Error::Arguments`] where `args` cannot be written as JSON.
    pub fn new(kind: impl Into<String>, args: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let kind = kind.into();
        match serde_json::value::to_raw_value(args) {
            Ok(args) => Ok(Self {
                kind,
                version: 1,
                args,
                queue: DEFAULT_QUEUE.to_owned(),
                priority: Priority::default(),
                due: Due::Now,
                attempts_max: None,
                unique: None,
                trace: TraceContext::current(),
                session: None,
                deadline: None,
            }),
            Err(source) => Err(Error::Arguments { kind, source }),
        }
    }

    /// In another queue.
    #[must_use]
    pub fn on(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// With another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Not before `moment`.
    #[must_use]
    pub fn at(mut self, moment: DateTime<Utc>) -> Self {
        self.due = Due::At(moment);
        self
    }

    /// Not before `delay` has passed.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.due = Due::After(delay);
        self
    }

    /// Tried at most so often; at least once.
    #[must_use]
    pub fn attempts(mut self, attempts_max: u32) -> Self {
        self.attempts_max = Some(attempts_max.max(1));
        self
    }

    /// One of its kind and key while it lives.
    #[must_use]
    pub fn unique(mut self, key: impl Into<String>) -> Self {
        self.unique = Some(Unique { key: key.into(), window: None });
        self
    }

    /// One of its kind and key while it lives, and for `window` from its enqueue on.
    #[must_use]
    pub fn unique_for(mut self, key: impl Into<String>, window: Duration) -> Self {
        self.unique = Some(Unique { key: key.into(), window: Some(window) });
        self
    }

    /// Names the current span as the one that enqueues, where it belongs to the envelope's trace.
    pub(crate) fn continue_trace(&mut self) {
        let current = TraceContext::current();
        if self.trace.map(TraceContext::trace) == current.map(TraceContext::trace) {
            self.trace = current;
        }
    }

    /// The unique key as it is stored: kinds do not share keys.
    pub(crate) fn unique_key(&self) -> Option<String> {
        self.unique.as_ref().map(|unique| format!("{}:{}", self.kind, unique.key))
    }

    /// Holds the envelope against what engines can store.
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("the arguments in bytes", self.args.get().len(), ARGS_BYTES_MAX)?;
        for (what, text) in [
            ("the kind", Some(self.kind.as_str())),
            ("the queue's name", Some(self.queue.as_str())),
            ("the unique key", self.unique.as_ref().map(|unique| unique.key.as_str())),
            ("the session", self.session.as_deref()),
            ("the deadline", self.deadline.as_deref()),
        ] {
            let text = text.unwrap_or_default();
            within(what, text.len(), NAME_BYTES_MAX)?;
            if text.contains('\0') {
                return Err(Error::Nul(what));
            }
        }
        Ok(())
    }
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size <= limit { Ok(()) } else { Err(Error::TooLarge { what, size, limit }) }
}

/// What became of an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// A new job.
    Stored(JobId),
    /// Its unique key is taken: by this job, or by a window whose job has ended.
    Duplicate(Option<JobId>),
}

impl Enqueued {
    /// The new job, if there is one.
    pub fn stored(self) -> Option<JobId> {
        match self {
            Self::Stored(id) => Some(id),
            Self::Duplicate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_a_limit_is_refused_by_name() {
        let large = "x".repeat(ARGS_BYTES_MAX);
        let refused = Envelope::new("large.v1", &large).unwrap().check().unwrap_err().to_string();
        assert!(refused.contains("arguments"), "{refused}");
        assert!(Envelope::new("small.v1", &1).unwrap().unique("k").check().is_ok());
        let nul = Envelope::new("nul.v1", &1).unwrap().unique("a\0b").check();
        assert!(matches!(nul, Err(Error::Nul("the unique key"))));
    }

    #[test]
    fn kinds_do_not_share_unique_keys() {
        let key = |kind: &str| Envelope::new(kind, &()).unwrap().unique("7").unique_key();
        assert_ne!(key("a.v1"), key("b.v1"));
    }
}
