//! Search of log lines, newest first, page by page.

use super::line::LineView;
use super::model::{Level, Line};
use super::stored::{self, StoredBlock, StoredLine};
use crate::collect::Error;
use crate::collect::block::{Bloom, Needed, contains_folded, item, read_texts, unpack};
use crate::collect::segment::{Segment, Segments};
use crate::collect::value::Value;
use memchr::memmem::Finder;
use onefold_core::Clock;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

// On the index filter_by_time.
const FILTERS: &str = "SELECT block, time_max_ns, bloom FROM filter \
    WHERE time_max_ns >= ?1 AND time_min_ns <= ?2 AND severity_max >= ?3 ORDER BY time_max_ns DESC, block DESC";
// The same, with a look at the key of another table for each.
const FILTERS_FOR_TEXT: &str = "SELECT block, time_max_ns, bloom, bits FROM filter LEFT JOIN trigram USING (block) \
    WHERE time_max_ns >= ?1 AND time_min_ns <= ?2 AND severity_max >= ?3 ORDER BY time_max_ns DESC, block DESC";
// On the key of the table.
const BLOCK: &str = "SELECT texts, columns FROM block WHERE id = ?1";

/// A search ends after this long with what it has.
const BUDGET: Duration = Duration::from_secs(2);

/// Conditions; all of them must hold.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The trace in which the line was written.
    pub trace: Option<u128>,
    /// `service.name`.
    pub service: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// At least so bad.
    pub level: Option<Level>,
    /// A text in the body or an attribute's value; ASCII letters in either case.
    pub text: Option<String>,
    /// The earliest time, in nanoseconds since 1970.
    pub start_ns: u64,
    /// The latest time.
    pub end_ns: u64,
    /// Where the last page ended.
    pub before: Option<Cursor>,
    /// How many are answered.
    pub limit: usize,
}

impl Default for LogQuery {
    fn default() -> Self {
        Self {
            trace: None,
            service: None,
            node: None,
            level: None,
            text: None,
            start_ns: 0,
            end_ns: u64::MAX,
            before: None,
            limit: 100,
        }
    }
}

/// A place between two lines: a time, and how many lines of that very time lie before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    time_ns: u64,
    given: usize,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time_ns, self.given)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, given) = text.split_once('.').ok_or(())?;
        Ok(Self { time_ns: time.parse().map_err(|_| ())?, given: given.parse().map_err(|_| ())? })
    }
}

/// Some of the lines that fit.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// The newest first.
    pub logs: Vec<Line>,
    /// Where the next page begins, if there is one.
    #[serde(serialize_with = "cursor")]
    pub next: Option<Cursor>,
}

#[expect(clippy::ref_option, reason = "serde passes references")]
fn cursor<S: serde::Serializer>(cursor: &Option<Cursor>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}

pub(super) fn search(segments: &Segments, query: &LogQuery, clock: &Clock) -> Result<Page, Error> {
    let given = query.before.map_or(0, |cursor| cursor.given);
    let end_ns = query.before.map_or(query.end_ns, |cursor| cursor.time_ns.min(query.end_ns));
    let needle = query.text.as_ref().map(|text| text.to_ascii_lowercase());
    let mut search = Search {
        query,
        end_ns,
        folded: needle.as_ref().map(|needle| Finder::new(needle.as_bytes())),
        needed: needle.as_ref().map(|needle| Needed::of(needle)),
        wanted: wanted(query),
        // Those that the last page ended with are found again, and one more tells whether there is a next page.
        enough: query.limit + given + 1,
        until: clock.now() + BUDGET,
        clock,
        found: Vec::new(),
        cut: false,
    };
    for segment in segments.newest_first() {
        search.segment(&segment)?;
        if search.cut {
            break;
        }
    }
    Ok(search.page(given))
}

struct Search<'q> {
    query: &'q LogQuery,
    end_ns: u64,
    folded: Option<Finder<'q>>,
    needed: Option<Needed>,
    wanted: Vec<u64>,
    enough: usize,
    until: Instant,
    clock: &'q Clock,
    /// By time, the newest first; never more than enough.
    found: Vec<Line>,
    cut: bool,
}

impl Search<'_> {
    fn segment(&mut self, segment: &Segment) -> Result<(), Error> {
        let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        let severity = self.query.level.map_or(0, Level::severity);
        segment.read(|connection| {
            let filters = if self.needed.is_some() { FILTERS_FOR_TEXT } else { FILTERS };
            let mut statement = connection.prepare_cached(filters)?;
            let bounds = [nanos(self.query.start_ns), nanos(self.end_ns), severity.into()];
            let mut rows = statement.query(bounds)?;
            while let Some(row) = rows.next()? {
                let time_max_ns: i64 = row.get(1)?;
                if self.is_full(time_max_ns.cast_unsigned()) || self.is_late() {
                    return Ok(());
                }
                let bloom = Bloom(row.get_ref(2)?.as_blob().unwrap_or_default());
                let texts_fit = match &self.needed {
                    Some(needed) => needed.may_be_in(row.get_ref(3)?.as_blob().unwrap_or_default()),
                    None => true,
                };
                if texts_fit && self.wanted.iter().all(|item| bloom.may_hold(*item)) {
                    self.block(connection, row.get(0)?)?;
                }
            }
            Ok(())
        })
    }

    /// Whether nothing of that time or before belongs into the answer any more.
    fn is_full(&self, time_ns: u64) -> bool {
        self.found.len() >= self.enough && self.found.last().is_some_and(|line| line.time > time_ns)
    }

    fn is_late(&mut self) -> bool {
        self.cut |= self.clock.now() >= self.until;
        self.cut
    }

    fn block(&mut self, connection: &Connection, id: i64) -> Result<(), Error> {
        let mut statement = connection.prepare_cached(BLOCK)?;
        let row = statement.query_row([id], |row| {
            Ok((row.get_ref(0)?.as_blob()?.to_vec(), row.get_ref(1)?.as_blob()?.to_vec()))
        });
        let Some((texts, columns)) = row.optional()? else { return Ok(()) };
        if let Err(error) = self.lines(&texts, &columns) {
            tracing::warn!(block = id, %error, "a block of log lines is passed over");
        }
        Ok(())
    }

    fn lines(&mut self, texts: &[u8], columns: &[u8]) -> Result<(), Error> {
        let texts = unpack(texts)?;
        if self.folded.as_ref().is_some_and(|folded| !contains_folded(&texts, folded)) {
            return Ok(());
        }
        let texts = read_texts(&texts)?;
        let columns = unpack(columns)?;
        let block = stored::read(&columns, &texts)?;
        // The youngest are the last.
        for stored in block.lines.iter().rev() {
            if self.is_full(stored.line.time_ns) {
                break;
            }
            if self.fits(&block, stored) {
                self.keep(&block, stored);
            }
        }
        Ok(())
    }

    fn keep(&mut self, block: &StoredBlock<'_>, stored: &StoredLine<'_>) {
        let Some(resource) = block.resources.get(stored.resource) else { return };
        let line = Line::of(&stored.line, resource, stored.scope);
        let place = self.found.partition_point(|other| other.time >= line.time);
        self.found.insert(place, line);
        self.found.truncate(self.enough);
    }

    fn fits(&self, block: &StoredBlock<'_>, stored: &StoredLine<'_>) -> bool {
        let Some(resource) = block.resources.get(stored.resource) else { return false };
        let query = self.query;
        let line = &stored.line;
        (query.start_ns..=self.end_ns).contains(&line.time_ns)
            && query.level.is_none_or(|level| Level::of(line.severity) >= level)
            && query.trace.is_none_or(|trace| line.trace == trace)
            && query.service.as_ref().is_none_or(|service| resource.service() == service)
            && query.node.as_ref().is_none_or(|node| resource.node() == Some(node))
            && self.folded.as_ref().is_none_or(|folded| says(line, folded))
    }

    fn page(mut self, given: usize) -> Page {
        let before = self.query.before;
        let skipped =
            self.found.iter().take_while(|line| before.is_some_and(|before| line.time == before.time_ns));
        let skipped = skipped.count().min(given);
        let mut logs = self.found.split_off(skipped);
        let more = logs.len() > self.query.limit || (self.cut && !logs.is_empty());
        logs.truncate(self.query.limit);
        let next = logs.last().filter(|_| more).map(|last| {
            let same = logs.iter().rev().take_while(|line| line.time == last.time).count();
            let earlier =
                before.filter(|before| before.time_ns == last.time).map_or(0, |before| before.given);
            Cursor { time_ns: last.time, given: same + earlier }
        });
        Page { logs, next }
    }
}

fn says(line: &LineView<'_>, folded: &Finder<'_>) -> bool {
    let text = |text: &str| contains_folded(text.as_bytes(), folded);
    text(&line.body)
        || line
            .attributes
            .iter()
            .any(|(_, value)| matches!(value, Value::Text(value) | Value::Json(value) if text(value)))
}

fn wanted(query: &LogQuery) -> Vec<u64> {
    let service = query.service.as_ref().map(|service| item::service(item::text(service)));
    let node = query.node.as_ref().map(|node| item::node(item::text(node)));
    service.into_iter().chain(node).chain(query.trace.map(item::trace)).collect()
}
