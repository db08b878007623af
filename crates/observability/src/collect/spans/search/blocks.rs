//! Search by what single spans say.

use super::super::load::Blocks;
use super::super::stored::StoredBlock;
use super::{Query, Search};
use crate::collect::Error;
use crate::collect::block::{Bloom, Needed, contains_folded, item, readings};
use crate::collect::segment::Segment;
use memchr::memmem::Finder;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

// A scan of a small table: its rows hold no spans.
const FILTERS: &str = "SELECT block, start_max_ms, bloom FROM filter \
    WHERE start_max_ms >= ?1 AND start_min_ms <= ?2 ORDER BY block DESC";

// The same, with a look at the key of another table for each.
const FILTERS_FOR_TEXT: &str = "SELECT block, start_max_ms, bloom, bits FROM filter LEFT JOIN trigram USING (block) \
    WHERE start_max_ms >= ?1 AND start_min_ms <= ?2 ORDER BY block DESC";

/// How long after a trace's first span another of it may begin and still be the one that is searched for, in ms.
const LATE_MS: i64 = 60_000;
/// How many filters are looked at between two looks at the clock.
const STRIDE: usize = 256;

/// Considers the blocks of a segment, the youngest first; answers whether the search is over.
pub(super) fn scan(
    connection: &Connection,
    segment: &Segment,
    search: &mut Search<'_>,
    around: &[Arc<Segment>],
) -> Result<bool, Error> {
    let query = search.query;
    let wanted = wanted(query);
    let needle = query.text.as_ref().map(|text| text.to_ascii_lowercase());
    let folded = needle.as_ref().map(|needle| Finder::new(needle.as_bytes()));
    let blocks = Blocks::new(connection, segment, &search.memory);
    let needed = needle.as_ref().map(|needle| Needed::of(needle));
    let filters = if needed.is_some() { FILTERS_FOR_TEXT } else { FILTERS };
    let mut statement = connection.prepare_cached(filters)?;
    let millis = |nanos: u64| (nanos / 1_000_000).cast_signed();
    let mut rows = statement.query([millis(query.start_ns), millis(query.end_ns).saturating_add(LATE_MS)])?;
    let mut count = 0_usize;
    while let Some(row) = rows.next()? {
        if search.is_full(row.get(1)?) || (count.is_multiple_of(STRIDE) && search.is_late()) {
            return Ok(true);
        }
        count += 1;
        let bloom = Bloom(row.get_ref(2)?.as_blob().unwrap_or_default());
        if !wanted.iter().all(|readings| readings.iter().any(|item| bloom.may_hold(*item))) {
            continue;
        }
        if let Some(needed) = &needed
            && !needed.may_be_in(row.get_ref(3)?.as_blob().unwrap_or_default())
        {
            continue;
        }
        let Some(block) = blocks.get(row.get(0)?)? else { continue };
        if folded.as_ref().is_some_and(|folded| !contains_folded(&block.texts, folded)) {
            continue;
        }
        for (trace, start_ns) in block.read(|block| traces_in(block, query, folded.as_ref())) {
            if search.is_full(millis(start_ns)) {
                break;
            }
            search.consider(trace, around)?;
        }
        if search.is_late() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// For each condition, the items of which one must be in the block.
fn wanted(query: &Query) -> Vec<Vec<u64>> {
    let one =
        |name: &Option<String>, item: fn(u64) -> u64| name.as_ref().map(|name| vec![item(item::text(name))]);
    let names = [
        one(&query.service, item::service),
        one(&query.node, item::node),
        one(&query.operation, item::operation),
    ];
    let attributes = query.attributes.iter().map(|(key, value)| readings(key, value));
    names.into_iter().flatten().chain(attributes).collect()
}

/// Traces with a span that fits, the one with the youngest first.
fn traces_in(block: &StoredBlock<'_>, query: &Query, folded: Option<&Finder<'_>>) -> Vec<(u128, u64)> {
    let mut traces: HashMap<u128, u64> = HashMap::new();
    for stored in block.spans.iter().filter(|stored| query.fits_span(block, stored, folded)) {
        let start = traces.entry(stored.span.trace).or_default();
        *start = stored.span.start_ns.max(*start);
    }
    let mut traces: Vec<(u128, u64)> = traces.into_iter().collect();
    traces.sort_by_key(|(_, start)| std::cmp::Reverse(*start));
    traces
}
