//! The store of spans: taken from the wire, kept in blocks of 256 sorted by trace, found by trace and by content.
//!
//! A row for each trace says where its spans lie and how long it took; everything else is read from the blocks, so
//! that a summary never differs from the spans that it sums up.

mod encode;
mod load;
mod model;
mod operations;
mod search;
mod span;
mod stored;
mod summary;
mod write;

pub use model::{Event, Kept, Link, Linked, Service, Span, Trace, TraceRoot, TraceSummary};
pub(crate) use search::reads_as;
pub use search::{Found, Query, Status};
pub(crate) use span::{span_of, trace_of};
pub(crate) use write::{SpanKey, judge};

use super::intake::Intake;
use super::ledger::Ledger;
use super::segment::{Bounds, Directory, Segments};
use super::writer::Inlet;
use super::{Error, Retention};
use onefold_core::Clock;
use std::path::Path;

/// What waits for the writer, in bytes on the wire.
const WAITING_BYTES_MAX: u64 = 32 << 20;

/// The store of spans. Cloning is cheap.
#[derive(Clone)]
pub struct Spans {
    segments: Segments,
    inlet: Inlet<Intake<SpanKey>>,
    ledger: Ledger,
    bounds: Bounds,
    clock: Clock,
}

impl Spans {
    pub(crate) fn open(path: &Path, bounds: Bounds, clock: Clock) -> Result<Self, Error> {
        let directory = Directory::open(path, write::SCHEMA, bounds, clock.clone())?;
        let segments = directory.segments();
        let ledger = Ledger::open("spans", &path.join("ledger"), &clock, |epoch| segments.tallied(epoch))?;
        let sink = write::SpanSink::new(directory, ledger.clone())?;
        let inlet = Inlet::start("spans", WAITING_BYTES_MAX, sink, clock.clone())?;
        Ok(Self { segments, inlet, ledger, bounds, clock })
    }

    /// Hands spans over to the writer.
    ///
    /// # Errors
    /// [`Error::Busy`] where it is behind: the sender should try again.
    pub(crate) fn offer(&self, intake: Intake<SpanKey>) -> Result<(), Error> {
        let (bytes, spans) = (intake.bytes, intake.items.len() as u64);
        if spans == 0 {
            return Ok(());
        }
        self.inlet.offer(intake, bytes, spans)?;
        self.ledger.taken(spans);
        Ok(())
    }

    /// A whole trace, or none if nothing of it is kept. Blocks while it reads.
    ///
    /// # Errors
    /// [`Error`], where the store cannot be read.
    pub fn trace(&self, id: u128) -> Result<Option<Trace>, Error> {
        load::trace(&self.segments, id)
    }

    /// Traces that fit, the newest first. Blocks while it reads.
    ///
    /// # Errors
    /// [`Error`], where the store cannot be read.
    pub fn search(&self, query: &Query) -> Result<Found, Error> {
        search::search(&self.segments, query, &self.clock)
    }

    /// Services with their nodes and operations, by name. Blocks while it reads.
    ///
    /// # Errors
    /// [`Error`], where the store cannot be read.
    pub fn services(&self) -> Result<Vec<Service>, Error> {
        operations::services(&self.segments)
    }

    /// Waits until everything that was taken before is on disk and can be found.
    pub async fn flush(&self) {
        self.inlet.flush().await;
    }

    pub(crate) fn end(&self) {
        self.inlet.end();
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention::of("spans", &self.segments, self.bounds, (self.inlet.refused(), self.ledger.lost()))
    }
}

#[cfg(test)]
mod tests;
