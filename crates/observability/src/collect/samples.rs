//! The store of samples: Prometheus' series, made from OpenTelemetry's metrics.
//!
//! What comes is in memory at once, where queries see it, in the log within half a second, and in a segment within
//! ten minutes. A process that dies loses what was not in the log yet; a machine, what its kernel had not written.
//! The number of series is bounded: a new one that is too many is refused, and its sender told.

mod bits;
mod block;
mod chunk;
mod exemplars;
mod head;
mod index;
mod metadata;
mod read;
mod series;
mod sink;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
mod translate;
mod wire;

pub use exemplars::Exemplar;
pub use metadata::Description;
pub use translate::Accepted;

use super::ledger::Ledger;
use super::promql::{self, Limits, Query, Range, Value};
use super::segment::{Bounds, Directory, Segments};
use super::writer::Inlet;
use super::{Error, Retention};
use crate::otlp::metrics::ResourceMetrics;
use exemplars::Exemplars;
use head::{Head, Outcome, Point};
use metadata::Metadata;
use onefold_core::Clock;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tail::Tail;
use translate::{Keys, Tally, Translator};

/// Series at once, in memory: a thousand bytes each, with their index.
const SERIES_MAX: usize = 100_000;
/// Samples that wait for the log; beyond, senders are told to try again.
const UNWRITTEN_MAX: usize = 1_000_000;

/// The store of samples. Cloning is cheap.
#[derive(Clone)]
pub struct Samples {
    head: Arc<Mutex<Head>>,
    described: Arc<Mutex<Described>>,
    keys: Arc<Keys>,
    segments: Segments,
    inlet: Inlet<()>,
    ledger: Ledger,
    bounds: Bounds,
    limits: Limits,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Described {
    exemplars: Exemplars,
    metadata: Metadata,
    /// Data points that were refused since the start.
    refused: u64,
}

impl Samples {
    pub(crate) fn open(path: &Path, bounds: Bounds, clock: Clock) -> Result<Self, Error> {
        let directory = Directory::open(path, sink::SCHEMA, bounds, clock.clone())?;
        let segments = directory.segments();
        let mut head = Head::new(SERIES_MAX);
        for segment in segments.newest_first() {
            series::restore(&segment, &mut head)?;
        }
        let tail = Tail::open(&path.join("samples.log"), &mut head)?;
        let told = |epoch| Ok(tail.told(epoch));
        let ledger = Ledger::open("samples", &path.join("ledger"), &clock, told)?;
        let head = Arc::new(Mutex::new(head));
        let files = sink::Files { directory, tail, ledger: ledger.clone() };
        let sink = sink::Writer::new(Arc::clone(&head), files, clock.clone())?;
        let inlet = Inlet::start("samples", 0, sink, clock.clone())?;
        let (described, keys, limits) = (Arc::default(), Arc::default(), Limits::default());
        Ok(Self { head, described, keys, segments, inlet, ledger, bounds, limits, clock })
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn described(&self) -> MutexGuard<'_, Described> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request's metrics; what is refused is counted and said. Computes, and does not wait for the disk.
    ///
    /// # Errors
    /// [`Error::Busy`] where the writer is behind: the sender should try again.
    pub fn write(&self, all: &[ResourceMetrics]) -> Result<Accepted, Error> {
        let now_ms = sink::millis(self.clock.wall());
        let age_ms = i64::try_from(self.bounds.age_max.as_millis()).unwrap_or(i64::MAX);
        let mut head = self.head();
        let waiting = head.unwritten_count();
        if waiting > UNWRITTEN_MAX {
            return Err(Error::Busy("samples"));
        }
        let Described { exemplars, metadata, refused } = &mut *self.described();
        let mut translator = Translator {
            head: &mut head,
            exemplars,
            metadata,
            keys: &self.keys,
            now_ms,
            oldest_ms: now_ms.saturating_sub(age_ms),
            tally: Tally::default(),
        };
        translator.translate(all);
        let accepted = translator.tally.accepted();
        *refused += accepted.rejected;
        self.ledger.taken((head.unwritten_count() - waiting) as u64);
        Ok(accepted)
    }

    /// An expression's value at a time, now if none is given. Blocks while it reads and computes.
    ///
    /// # Errors
    /// [`promql::Error`]: the expression, its bounds, or the store.
    pub fn query(&self, expression: &str, at_ms: Option<i64>) -> Result<Value, promql::Error> {
        let at_ms = at_ms.unwrap_or_else(|| sink::millis(self.clock.wall()));
        self.evaluate(&Query::parse(expression)?, at_ms)
    }

    /// The same of an expression that was parsed before.
    ///
    /// # Errors
    /// As [`Samples::query`].
    pub fn evaluate(&self, query: &Query, at_ms: i64) -> Result<Value, promql::Error> {
        query.at(self, at_ms, self.limits, &self.clock)
    }

    /// An expression's values over a range: always a matrix. Blocks while it reads and computes.
    ///
    /// # Errors
    /// As [`Samples::query`].
    pub fn query_range(&self, expression: &str, range: Range) -> Result<Value, promql::Error> {
        Query::parse(expression)?.range(self, range, self.limits, &self.clock)
    }

    /// Adds one sample, as a recording rule does.
    pub(crate) fn record(&self, labels: &promql::Labels, at_ms: i64, value: f64) -> Result<(), String> {
        let key = self.keys.of(labels);
        let mut head = self.head();
        let waiting = head.unwritten_count();
        let outcome = head.append(key, || Ok(labels.clone()), at_ms, Point::Value(value));
        self.ledger.taken((head.unwritten_count() - waiting) as u64);
        match outcome {
            Outcome::Taken | Outcome::Known => Ok(()),
            Outcome::Full => Err(format!("there are {SERIES_MAX} series, as many as the observer keeps")),
            Outcome::Late | Outcome::Unfit(_) => Err(format!("{labels} has a later sample already")),
        }
    }

    /// Waits until everything that was taken is in the log.
    pub async fn flush(&self) {
        self.inlet.flush().await;
    }

    /// Writes the log and ends the writer. Blocks until then.
    pub(crate) fn end(&self) {
        self.inlet.end();
    }

    pub(crate) fn retention(&self) -> Retention {
        let counts = (self.described().refused, self.ledger.lost());
        let mut retention = Retention::of("samples", &self.segments, self.bounds, counts);
        retention.count += self.head().unstored_count();
        retention
    }

    /// How many series there may be.
    pub fn series_max(&self) -> usize {
        SERIES_MAX
    }

    /// Series in memory.
    pub fn series_count(&self) -> usize {
        self.head().series_count()
    }
}

#[cfg(test)]
mod tests;
