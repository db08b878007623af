//! Keys, revisions, transactions and changes, in etcd's words.

use super::Store;
use crate::error::Error;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// A point in the store's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Revisions are comparable within one epoch only. It grows when a failover may have lost revisions.
    pub epoch: i64,
    /// The number of the last transaction.
    pub revision: i64,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name: `flags/preview-page`.
    pub key: Arc<str>,
    /// Its value.
    pub value: Arc<Json>,
    /// The revision that created it.
    pub created: i64,
    /// The revision that wrote it last.
    pub revision: i64,
    /// The name of the lease that carries it: the key ends with the lease.
    pub lease: Option<Arc<str>>,
}

/// Everything under a prefix at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// As of when.
    pub position: Position,
    /// Sorted by key.
    pub entries: Vec<Entry>,
}

/// One key's change in one revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was written.
    Put(Entry),
    /// It was deleted in this revision.
    Deleted {
        /// Which.
        key: Arc<str>,
        /// When.
        revision: i64,
    },
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Deleted { key, .. } => key,
        }
    }

    /// The revision in which it did.
    pub fn revision(&self) -> i64 {
        match self {
            Self::Put(entry) => entry.revision,
            Self::Deleted { revision, .. } => *revision,
        }
    }
}

/// What happened after a position.
#[derive(Clone, Debug, PartialEq)]
pub enum Changes {
    /// These, up to `position`: ask from there next. None, if nothing happened.
    Since {
        /// In order of revision.
        changes: Vec<Change>,
        /// Where to go on.
        position: Position,
        /// The store's newest revision, beyond `position` where there is more to read.
        newest: i64,
    },
    /// The changes after that position are forgotten: list again.
    Compacted,
    /// The position is of another epoch, or beyond the newest revision: list again.
    Elsewhere,
}

/// Who changes something, and why: kept in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    /// A person or a node.
    pub actor: String,
    /// In a person's words, where a person did it.
    pub reason: Option<String>,
}

impl Writer {
    /// A writer without a reason.
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), reason: None }
    }

    /// The same, with this reason where it has none.
    pub(crate) fn or_reason(mut self, reason: impl FnOnce() -> String) -> Self {
        self.reason.get_or_insert_with(reason);
        self
    }
}

/// Compare, then, else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Txn {
    /// All of them must hold.
    pub compare: Vec<Compare>,
    /// Done if they do.
    pub then: Vec<Operation>,
    /// Done otherwise.
    pub otherwise: Vec<Operation>,
    /// Who, and why.
    pub writer: Writer,
}

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Compare {
    /// The key was last written in this revision; 0 stands for "there is no such key".
    Revision {
        /// Which key.
        key: String,
        /// Its revision.
        is: i64,
    },
    /// The key has this value.
    Value {
        /// Which key.
        key: String,
        /// Its value.
        is: Json,
    },
}

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Writes a key.
    Put {
        /// Which.
        key: String,
        /// Its value.
        value: Json,
        /// The lease that carries it; none for a durable key.
        lease: Option<String>,
    },
    /// Deletes a key, if it is there.
    Delete {
        /// Which.
        key: String,
    },
}

impl Operation {
    /// Writes a durable key.
    pub fn put(key: impl Into<String>, value: Json) -> Self {
        Self::Put { key: key.into(), value, lease: None }
    }

    /// Deletes a key.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::Delete { key: key.into() }
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all comparisons held.
    pub held: bool,
    /// The position after it.
    pub position: Position,
}

/// What a key once was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Past {
    /// In which revision.
    pub revision: i64,
    /// Its value; none where it was deleted.
    pub value: Option<Json>,
    /// Who did it.
    pub actor: String,
    /// Why, if they said so.
    pub reason: Option<String>,
    /// When, by the engine's clock.
    pub at: DateTime<Utc>,
}

/// The last change of each of these names under a prefix, by name.
pub(crate) async fn latest(
    store: &dyn Store,
    prefix: &str,
    names: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Past>, Error> {
    let keys: Vec<String> = names.map(|name| format!("{prefix}{name}")).collect();
    let latest = store.latest(&keys).await?;
    let name = |key: String| key.strip_prefix(prefix).map(str::to_owned);
    Ok(latest.into_iter().filter_map(|(key, past)| Some((name(key)?, past))).collect())
}

/// What held after `revision`, in a history with the newest first; a text says why nobody knows.
pub(crate) fn as_of(past: &[Past], revision: i64) -> Result<&Past, String> {
    past.iter().find(|past| past.revision <= revision).ok_or_else(|| {
        let oldest = past.last().map_or_else(|| "none".to_owned(), |past| past.revision.to_string());
        format!("nothing is known of revision {revision}: the oldest one kept is {oldest}")
    })
}
