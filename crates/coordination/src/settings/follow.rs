//! Settings as they change, for a person who looks on.

use super::{KEYS, Settings};
use crate::error::Error;
use crate::store::{Change, Changes, Hint, Position, Store};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// One change of one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingChange {
    /// Which setting.
    pub name: String,
    /// Its value; none where it went back to its default.
    pub value: Option<Json>,
    /// In which revision.
    pub revision: i64,
}

/// Follows the settings in the store.
pub struct Follow {
    store: Arc<dyn Store>,
    hints: BoxStream<'static, Hint>,
    position: Position,
}

/// How often it looks without a hint.
const POLL: Duration = Duration::from_millis(500);

impl Settings {
    /// Follows the settings from now on.
    pub async fn follow(&self) -> Result<Follow, Error> {
        let hints = self.store.hints();
        let position = self.store.list(KEYS).await?.position;
        Ok(Follow { store: self.store.clone(), hints, position })
    }
}

impl Follow {
    /// The next changes, at least one. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Away`] while the service is away: ask again.
    pub async fn next(&mut self) -> Result<Vec<SettingChange>, Error> {
        loop {
            match self.store.changes(KEYS, self.position).await? {
                Changes::Since { changes, position, newest } => {
                    self.position = position;
                    if !changes.is_empty() {
                        return Ok(changes.into_iter().map(SettingChange::from).collect());
                    }
                    if newest > position.revision {
                        continue;
                    }
                }
                // Who looks on has missed something that is no longer to be had, and goes on from now.
                Changes::Compacted | Changes::Elsewhere => {
                    self.position = self.store.list(KEYS).await?.position;
                }
            }
            drop(tokio::time::timeout(POLL, self.hints.next()).await);
        }
    }
}

impl From<Change> for SettingChange {
    fn from(change: Change) -> Self {
        let name = change.key().strip_prefix(KEYS).unwrap_or(change.key()).to_owned();
        let revision = change.revision();
        let value = match change {
            Change::Put(entry) => Some((*entry.value).clone()),
            Change::Deleted { .. } => None,
        };
        Self { name, value, revision }
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("position", &self.position).finish_non_exhaustive()
    }
}
