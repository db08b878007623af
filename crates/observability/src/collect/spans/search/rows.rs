//! Search by what the row of a trace says.

use super::super::load::whole;
use super::{Search, Status};
use crate::collect::Error;
use crate::collect::segment::Segment;
use rusqlite::Connection;
use std::sync::Arc;

// On the index trace_by_start, which holds all that is asked for but the id. A trace may have several rows, of which
// each is shorter than the whole: the one with the root is not, by much.
const FITTING: &str = "SELECT high, low, start_ms FROM trace \
    WHERE start_ms BETWEEN ?1 AND ?2 AND duration_us >= ?3 AND errors BETWEEN ?4 AND ?5 ORDER BY start_ms DESC";

/// How many rows are looked at between two looks at the clock.
const STRIDE: usize = 64;

/// Considers the rows of a segment; answers whether the search is over.
pub(super) fn scan(
    connection: &Connection,
    search: &mut Search<'_>,
    around: &[Arc<Segment>],
) -> Result<bool, Error> {
    let query = search.query;
    let millis = |nanos: u64| (nanos / 1_000_000).cast_signed();
    let (errors_min, errors_max) = match query.status {
        None => (0, i64::MAX),
        Some(Status::Ok) => (0, 0),
        Some(Status::Error) => (1, i64::MAX),
    };
    let duration_us = (query.duration_min_ns / 1000).cast_signed();
    let mut statement = connection.prepare_cached(FITTING)?;
    let bounds = [millis(query.start_ns), millis(query.end_ns), duration_us, errors_min, errors_max];
    let mut rows = statement.query(bounds)?;
    let mut count = 0_usize;
    while let Some(row) = rows.next()? {
        if search.is_full(row.get(2)?) || (count.is_multiple_of(STRIDE) && search.is_late()) {
            return Ok(true);
        }
        count += 1;
        search.consider(whole(row.get(0)?, row.get(1)?), around)?;
    }
    Ok(search.is_late())
}
