//! The store of log lines: taken from the wire, kept in blocks of up to 2,048 sorted by time, found by content, and
//! shown as they come.

mod encode;
mod line;
mod model;
mod search;
mod stored;
mod write;

pub use model::{Level, Line};
pub use search::{Cursor, LogQuery, Page};
pub(crate) use write::judge;

use super::intake::Intake;
use super::ledger::Ledger;
use super::segment::{Bounds, Directory, Segments};
use super::writer::Inlet;
use super::{Error, Retention};
use onefold_core::Clock;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::broadcast;

/// What waits for the writer, in bytes on the wire.
const WAITING_BYTES_MAX: u64 = 32 << 20;
/// Lines that a reader of the live tail may be behind before it loses some.
const TAIL_LINES: usize = 1024;

/// The store of log lines. Cloning is cheap.
#[derive(Clone)]
pub struct Logs {
    segments: Segments,
    inlet: Inlet<Intake<u64>>,
    live: broadcast::Sender<Arc<Line>>,
    ledger: Ledger,
    bounds: Bounds,
    clock: Clock,
}

impl Logs {
    pub(crate) fn open(path: &Path, bounds: Bounds, clock: Clock) -> Result<Self, Error> {
        let directory = Directory::open(path, write::SCHEMA, bounds, clock.clone())?;
        let segments = directory.segments();
        let ledger = Ledger::open("logs", &path.join("ledger"), &clock, |epoch| segments.tallied(epoch))?;
        let live = broadcast::Sender::new(TAIL_LINES);
        let sink = write::LogSink::new(directory, ledger.clone(), live.clone())?;
        let inlet = Inlet::start("logs", WAITING_BYTES_MAX, sink, clock.clone())?;
        Ok(Self { segments, inlet, live, ledger, bounds, clock })
    }

    /// Hands lines over to the writer.
    ///
    /// # Errors
    /// [`Error::Busy`] where it is behind: the sender should try again.
    pub(crate) fn offer(&self, intake: Intake<u64>) -> Result<(), Error> {
        let (bytes, lines) = (intake.bytes, intake.items.len() as u64);
        if lines == 0 {
            return Ok(());
        }
        self.inlet.offer(intake, bytes, lines)?;
        self.ledger.taken(lines);
        Ok(())
    }

    /// Lines that fit, the newest first. Blocks while it reads.
    ///
    /// # Errors
    /// [`Error`], where the store cannot be read.
    pub fn search(&self, query: &LogQuery) -> Result<Page, Error> {
        search::search(&self.segments, query, &self.clock)
    }

    /// Every line that comes from now on. Who is more than 1,024 lines behind loses the oldest, and is told how many.
    pub fn tail(&self) -> broadcast::Receiver<Arc<Line>> {
        self.live.subscribe()
    }

    /// Waits until everything that was taken before is on disk and can be found.
    pub async fn flush(&self) {
        self.inlet.flush().await;
    }

    pub(crate) fn end(&self) {
        self.inlet.end();
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention::of("logs", &self.segments, self.bounds, (self.inlet.refused(), self.ledger.lost()))
    }
}

#[cfg(test)]
mod tests;
