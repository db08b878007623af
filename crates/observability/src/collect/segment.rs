//! A directory of `SQLite` files for one signal: one is written, the others are kept until bytes or age say no.
//!
//! A segment ends after an hour (longer where the age allows weeks) or when it holds its share of the bytes; the
//! oldest is unlinked whole, so that retention takes constant time and no vacuum. Segments are in the order of
//! *arrival*: what comes late lies in the segment of the day it came. Only the writer's thread changes files;
//! readers have connections of their own and keep an unlinked file alive until they are done.

mod file;
mod list;

pub(crate) use file::Segment;
pub(crate) use list::Segments;

use onefold_core::Clock;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Error;

/// What is in a segment: how it is made, and how its items are counted when it is found again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    /// The statements that make an empty file ready.
    pub(crate) create: &'static [&'static str],
    /// A query of one integer: the items that are kept.
    pub(crate) count: &'static str,
}

/// How much a signal may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: u64,
    pub(crate) age_max: Duration,
}

/// A segment's share of the bytes: so much at most is lost at once when the oldest goes.
const SHARES: u64 = 16;
const SPAN_MIN: Duration = Duration::from_hours(1);

impl Bounds {
    /// How long a segment is written: no more than 24 of them make the whole age.
    fn span(&self) -> Duration {
        SPAN_MIN.min(self.age_max / 2).max(self.age_max / 24)
    }

    fn segment_bytes_max(&self) -> u64 {
        self.bytes_max / SHARES
    }
}

/// The writer's side: owns the directory.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    schema: Schema,
    bounds: Bounds,
    clock: Clock,
    segments: Segments,
    open: Option<(Arc<Segment>, Connection)>,
}

/// Where the writer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The same file as the last time.
    Same,
    /// Another file: what the writer remembers of the last one's rows is void.
    Fresh,
}

impl Directory {
    /// Opens or makes the directory, and finds what is in it.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Engine`]; a single file that does not open is set aside with a warning.
    pub(crate) fn open(path: &Path, schema: Schema, bounds: Bounds, clock: Clock) -> Result<Self, Error> {
        let failed = |verb| move |source| Error::File { verb, path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed("make"))?;
        let segments = Segments::default();
        let mut names: Vec<PathBuf> = std::fs::read_dir(path)
            .map_err(failed("list"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
            .collect();
        names.sort();
        for name in names {
            match Segment::found(&name, schema) {
                Ok(segment) => segments.push(Arc::new(segment)),
                Err(error) => {
                    tracing::warn!(file = %name.display(), %error, "a file of the store does not read; it is set aside");
                    let _ = std::fs::rename(&name, name.with_extension("unreadable"));
                }
            }
        }
        let mut directory = Self { path: path.to_owned(), schema, bounds, clock, segments, open: None };
        directory.reclaim();
        Ok(directory)
    }

    /// What may be kept.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What readers read.
    pub(crate) fn segments(&self) -> Segments {
        self.segments.clone()
    }

    /// The segment to write into now, and whether it is another than the last time.
    ///
    /// # Errors
    /// [`Error`], where a new file cannot be made.
    pub(crate) fn current(&mut self) -> Result<(&Arc<Segment>, &mut Connection, Turn), Error> {
        let now = self.clock.wall();
        let over = self.open.as_ref().is_some_and(|(segment, _)| self.is_over(segment, now));
        if over {
            self.seal();
        }
        let turn = if self.open.is_some() { Turn::Same } else { Turn::Fresh };
        if self.open.is_none() {
            let newest = self.segments.newest_first().into_iter().next();
            let segment = if let Some(segment) = newest.filter(|segment| !self.is_over(segment, now)) {
                segment
            } else {
                let segment = Arc::new(Segment::create(&self.path, now, self.schema)?);
                self.segments.push(Arc::clone(&segment));
                segment
            };
            let connection = segment.writer()?;
            self.open = Some((segment, connection));
        }
        match &mut self.open {
            Some((segment, connection)) => Ok((segment, connection, turn)),
            None => Err(Error::Stopped("segments")),
        }
    }

    fn is_over(&self, segment: &Segment, now: SystemTime) -> bool {
        segment.bytes() >= self.bounds.segment_bytes_max()
            || now.duration_since(segment.started()).is_ok_and(|age| age >= self.bounds.span())
    }

    /// To be called after each commit: `items` more are kept. Deletes what is over the bounds.
    pub(crate) fn wrote(&mut self, items: u64) {
        let now = self.clock.wall();
        if let Some((segment, _)) = &self.open {
            segment.wrote(items, now);
        }
        self.reclaim();
    }

    /// Unlinks the oldest until the rest is within bytes and age; ends a segment that nobody writes any more.
    pub(crate) fn reclaim(&mut self) {
        let now = self.clock.wall();
        if self.open.as_ref().is_some_and(|(segment, _)| self.is_over(segment, now)) {
            self.seal();
        }
        loop {
            let all = self.segments.newest_first();
            let Some(oldest) = all.last() else { return };
            let written = self.open.as_ref().is_some_and(|(segment, _)| Arc::ptr_eq(segment, oldest));
            let bytes = self.segments.bytes();
            let old = now.duration_since(oldest.ended()).is_ok_and(|age| age > self.bounds.age_max);
            if written || !(old || bytes > self.bounds.bytes_max) {
                return;
            }
            self.segments.remove(oldest);
            oldest.unlink();
        }
    }

    fn seal(&mut self) {
        if let Some((segment, connection)) = self.open.take() {
            // What is in the log goes into the file; if a reader holds it up, the next open does it.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            drop(connection);
            segment.measure();
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.seal();
    }
}

#[cfg(test)]
mod tests;
