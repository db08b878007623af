//! Which services, nodes and operations there are, for the search form.

use super::model::Service;
use crate::collect::Error;
use crate::collect::segment::Segments;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashSet};

const ADD: &str = "INSERT OR IGNORE INTO operation (service, node, name) VALUES (?1, ?2, ?3)";
const ALL: &str = "SELECT service, node, name FROM operation";

/// Names in one segment: who puts ids into span names fills this, and further ones are not listed.
const NAMES_MAX: usize = 10_000;
/// Operations of one service in an answer.
const LISTED_MAX: usize = 1000;

/// What the current segment lists already.
#[derive(Debug, Default)]
pub(super) struct Known(HashSet<[String; 3]>);

impl Known {
    /// Those of a file that is written now.
    pub(super) fn read(connection: &Connection) -> Result<Self, Error> {
        let mut statement = connection.prepare(ALL)?;
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    /// Lists what is new.
    pub(super) fn add(&mut self, connection: &Connection, names: Vec<[String; 3]>) -> Result<(), Error> {
        for names in names {
            if self.0.len() < NAMES_MAX && !self.0.contains(&names) {
                connection.prepare_cached(ADD)?.execute([&names[0], &names[1], &names[2]])?;
                self.0.insert(names);
            }
        }
        Ok(())
    }
}

/// All services of all segments.
pub(super) fn services(segments: &Segments) -> Result<Vec<Service>, Error> {
    let mut services: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for segment in segments.newest_first() {
        segment.read(|connection| {
            let mut statement = connection.prepare_cached(ALL)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (nodes, operations) = services.entry(row.get(0)?).or_default();
                nodes.insert(row.get(1)?);
                if operations.len() < LISTED_MAX {
                    operations.insert(row.get(2)?);
                }
            }
            Ok(())
        })?;
    }
    let service = |(name, (nodes, operations)): (String, (BTreeSet<String>, BTreeSet<String>))| Service {
        name,
        nodes: nodes.into_iter().filter(|node| !node.is_empty()).collect(),
        operations: operations.into_iter().collect(),
    };
    Ok(services.into_iter().map(service).collect())
}
