//! Search of traces, newest first.
//!
//! Time, duration and status are questions to the whole trace and are answered from its row; service, node,
//! operation, attributes and text must all be true of one span, and are answered from blocks, of which filters
//! pass over most; where failed or slow traces are asked for, rows pass over most already. What is shown of a trace found is read from its spans.

mod blocks;
mod query;
mod rows;

pub(crate) use query::reads_as;
pub use query::{Found, Query, Status};

use super::load::{Memory, part};
use super::model::{Trace, TraceSummary};
use crate::collect::Error;
use crate::collect::segment::{Segment, Segments};
use onefold_core::Clock;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A search ends after this long with what it has: conditions that are common alone and never meet in one span
/// would have it read everything.
const BUDGET: Duration = Duration::from_secs(2);

/// A search under way.
struct Search<'q> {
    query: &'q Query,
    clock: &'q Clock,
    until: Instant,
    seen: HashSet<u128>,
    found: Vec<TraceSummary>,
    cut: bool,
    memory: Memory,
}

pub(super) fn search(segments: &Segments, query: &Query, clock: &Clock) -> Result<Found, Error> {
    let until = clock.now() + BUDGET;
    let mut search = Search {
        query,
        clock,
        until,
        seen: HashSet::new(),
        found: Vec::new(),
        cut: false,
        memory: Memory::default(),
    };
    let all = segments.newest_first();
    for (at, segment) in all.iter().enumerate() {
        // A trace that was under way when a segment ended lies in two.
        let around = &all[at.saturating_sub(1)..all.len().min(at + 2)];
        let done = segment.read(|connection| {
            if query.asks_for_spans() && !query.is_for_few() {
                blocks::scan(connection, segment, &mut search, around)
            } else {
                rows::scan(connection, &mut search, around)
            }
        })?;
        if done {
            break;
        }
    }
    Ok(search.finish())
}

impl Search<'_> {
    /// Looks at a trace that may fit.
    fn consider(&mut self, trace: u128, around: &[Arc<Segment>]) -> Result<(), Error> {
        if !self.seen.insert(trace) {
            return Ok(());
        }
        let whole = Trace::of(trace, part(around, trace, &self.memory)?, Vec::new());
        let fitting =
            whole.summary().filter(|summary| self.query.fits(summary) && self.query.fits_one_of(&whole));
        self.found.extend(fitting);
        Ok(())
    }

    /// Whether nothing that began before `start_ms` belongs into the answer any more.
    fn is_full(&mut self, start_ms: i64) -> bool {
        if self.found.len() <= self.query.limit {
            return false;
        }
        self.found.sort_by_key(|trace| std::cmp::Reverse(trace.start));
        let last = self.found[self.query.limit].start / 1_000_000;
        last.cast_signed() > start_ms
    }

    /// Whether the time is up.
    fn is_late(&mut self) -> bool {
        self.cut |= self.clock.now() >= self.until;
        self.cut
    }

    fn finish(mut self) -> Found {
        self.found.sort_by_key(|trace| std::cmp::Reverse(trace.start));
        let truncated = self.cut || self.found.len() > self.query.limit;
        self.found.truncate(self.query.limit);
        Found { traces: self.found, truncated }
    }
}
