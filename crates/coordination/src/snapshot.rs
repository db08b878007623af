//! Everything the store holds, as of one position: what this process decides by.

use crate::store::{Change, Changes, Entry, Listing, Position};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All keys as of one position. Immutable: a change makes the next one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    position: Position,
    entries: BTreeMap<Arc<str>, Entry>,
}

/// What a watcher does with an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Nothing happened.
    Keep,
    /// This is the snapshot now.
    Advance {
        /// The next snapshot.
        snapshot: Snapshot,
        /// How many revisions the store is ahead of it.
        behind: i64,
    },
    /// The changes in between are not to be had: list.
    List,
}

impl Snapshot {
    /// As of when.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The entry of one key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The entries under a prefix with the rest of their keys, sorted.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .map_while(move |(key, entry)| Some((key.strip_prefix(prefix)?, entry)))
    }

    /// All entries, sorted.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// What follows from an answer to "what changed since".
    pub(crate) fn next(&self, changes: Changes) -> Next {
        match changes {
            Changes::Compacted | Changes::Elsewhere => Next::List,
            Changes::Since { position, .. } if position == self.position => Next::Keep,
            Changes::Since { changes, position, newest } => {
                let mut entries = self.entries.clone();
                for change in changes {
                    match change {
                        Change::Put(entry) => drop(entries.insert(entry.key.clone(), entry)),
                        Change::Deleted { key, .. } => drop(entries.remove(&key)),
                    }
                }
                Next::Advance { snapshot: Self { position, entries }, behind: newest - position.revision }
            }
        }
    }
}

impl From<Listing> for Snapshot {
    fn from(listing: Listing) -> Self {
        let entries = listing.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Self { position: listing.position, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(key: &str, revision: i64) -> Entry {
        Entry { key: key.into(), value: json!(revision).into(), created: revision, revision, lease: None }
    }

    fn at(revision: i64) -> Position {
        Position { epoch: 1, revision }
    }

    #[test]
    fn changes_lead_from_one_snapshot_to_the_next() {
        let listing = Listing { position: at(2), entries: vec![entry("a", 1), entry("b", 2)] };
        let snapshot = Snapshot::from(listing);
        let deleted = Change::Deleted { key: "a".into(), revision: 3 };
        let changes = vec![deleted, Change::Put(entry("b/c", 4))];
        let next = snapshot.next(Changes::Since { changes, position: at(4), newest: 6 });
        let Next::Advance { snapshot, behind } = next else { panic!("{next:?}") };
        assert_eq!(behind, 2);
        assert_eq!(snapshot.entries().map(|entry| &*entry.key).collect::<Vec<_>>(), ["b", "b/c"]);
        assert_eq!(snapshot.under("b/").map(|(rest, _)| rest).collect::<Vec<_>>(), ["c"]);
        let nothing = Changes::Since { changes: vec![], position: at(4), newest: 4 };
        assert_eq!(snapshot.next(nothing), Next::Keep);
    }

    #[test]
    fn a_gap_is_answered_by_listing() {
        let snapshot = Snapshot::default();
        assert_eq!(snapshot.next(Changes::Compacted), Next::List);
        assert_eq!(snapshot.next(Changes::Elsewhere), Next::List);
    }
}
