//! The row of a trace: where its spans lie, and what a search asks first.
//!
//! Spans of a trace come from many nodes, seconds apart. A trace that was written lately is remembered and its row
//! changed; after that, another row is added. Readers put the rows of a trace together.

use super::encode::Facts;
use super::load::halves;
use crate::collect::Error;
use crate::collect::wire::{put_varint, varint};
use rusqlite::{Connection, params};
use std::collections::HashMap;

// On the key of the table.
const CHANGE: &str =
    "UPDATE trace SET start_ms = ?2, duration_us = ?3, errors = ?4, blocks = ?5 WHERE row = ?1";
const ADD: &str =
    "INSERT INTO trace (high, low, start_ms, duration_us, errors, blocks) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Traces that are remembered, in each of two generations.
const REMEMBERED_MAX: usize = 16_384;
/// Blocks of a trace that its row names; what is beyond is not found by its id.
const PLACES_MAX: usize = 4096;

/// What is known of a trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    start_ns: u64,
    end_ns: u64,
    errors: u64,
    places: Vec<i64>,
}

impl Summary {
    fn add(&mut self, facts: &Facts, place: i64) {
        if self.places.last() != Some(&place)
            && !self.places.contains(&place)
            && self.places.len() < PLACES_MAX
        {
            self.places.push(place);
        }
        self.start_ns = if self.start_ns == 0 { facts.start_ns } else { self.start_ns.min(facts.start_ns) };
        self.end_ns = self.end_ns.max(facts.end_ns);
        self.errors += u64::from(facts.fresh && facts.failed);
    }

    fn places(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.places.len() * 3);
        for place in &self.places {
            put_varint(&mut bytes, place.cast_unsigned());
        }
        bytes
    }
}

/// The blocks that a row names.
pub(super) fn read_places(mut bytes: &[u8]) -> Vec<i64> {
    std::iter::from_fn(|| varint(&mut bytes).map(u64::cast_signed)).collect()
}

/// The rows that were written lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<u128, (i64, Summary)>,
    old: HashMap<u128, (i64, Summary)>,
}

impl Recent {
    /// Rows of another file.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Writes what blocks say of one trace: its facts with the block of each.
    pub(super) fn write(&mut self, connection: &Connection, facts: &[(Facts, i64)]) -> Result<(), Error> {
        let Some((first, _)) = facts.first() else { return Ok(()) };
        let known = self.young.remove(&first.trace).or_else(|| self.old.remove(&first.trace));
        let (row, mut summary) =
            known.map_or((None, Summary::default()), |(row, summary)| (Some(row), summary));
        let places = summary.places.len();
        for (facts, place) in facts {
            summary.add(facts, *place);
        }
        let changed = places != summary.places.len() || facts.iter().any(|(facts, _)| facts.fresh);
        let row = match row {
            Some(row) if !changed => row,
            row => store(connection, first.trace, row, &summary)?,
        };
        if self.young.len() >= REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(first.trace, (row, summary));
        Ok(())
    }
}

fn store(connection: &Connection, trace: u128, row: Option<i64>, summary: &Summary) -> Result<i64, Error> {
    let (high, low) = halves(trace);
    let start_ms = (summary.start_ns / 1_000_000).cast_signed();
    let duration_us = (summary.end_ns.saturating_sub(summary.start_ns) / 1000).cast_signed();
    let (errors, places) = (summary.errors.cast_signed(), summary.places());
    if let Some(row) = row {
        let mut change = connection.prepare_cached(CHANGE)?;
        change.execute(params![row, start_ms, duration_us, errors, places])?;
        return Ok(row);
    }
    let mut add = connection.prepare_cached(ADD)?;
    add.execute(params![high, low, start_ms, duration_us, errors, places])?;
    Ok(connection.last_insert_rowid())
}
