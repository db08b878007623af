//! What has changed after a position, asked of etcd itself: its watch from a past revision.

use super::Etcd;
use super::follow::decode;
use super::{kv, past, step, value};
use crate::error::Error;
use crate::store::{Changes, Position};

/// How many changes one answer holds, but for the rest of its last revisions.
const CHANGES_MAX: usize = 1000;

impl Etcd {
    pub(super) async fn changes_after(&self, prefix: &str, after: Position) -> Result<Changes, Error> {
        if let Some(changes) = self.feed.since(prefix, after) {
            return Ok(changes);
        }
        if self.epoch().await? != after.epoch {
            return Ok(Changes::Elsewhere);
        }
        let answer = self.read(vec![step::get(self.keys.forgotten()), step::get(self.keys.head())]).await?;
        // The answer may have shown that revisions ran back.
        let newest = kv::head(&answer);
        if self.epoch().await? != after.epoch || newest < after.revision {
            return Ok(Changes::Elsewhere);
        }
        let (forgotten, _) = past::forgotten(answer.read(0))?;
        if after.revision < forgotten {
            return Ok(Changes::Compacted);
        }
        if newest == after.revision {
            return Ok(Changes::Since { changes: Vec::new(), position: after, newest });
        }
        self.replay(prefix, after, newest).await
    }

    /// Reads changes up to `newest`, which is there. A message holds whole revisions, in their order.
    async fn replay(&self, prefix: &str, after: Position, newest: i64) -> Result<Changes, Error> {
        let (_channel, mut frames) = self.watch(self.keys.changes(), after.revision + 1).await?;
        let (mut changes, mut revision) = (Vec::new(), after.revision);
        while revision < newest && changes.len() < CHANGES_MAX {
            let message = match tokio::time::timeout(self.timeout, frames.next()).await {
                Ok(message) => message.map_err(|failure| self.client.failed(failure))?,
                Err(_) => return Err(Error::Away(format!("no change of etcd within {:?}", self.timeout))),
            };
            let Some(message) = message else { return Err(self.client.failed(frames.end()).into()) };
            let watched = decode(&message)?;
            if watched.compacted > 0 {
                return Ok(Changes::Compacted);
            }
            if watched.canceled {
                return Err(Error::Away(format!("the watch was ended: {}", watched.reason)));
            }
            for event in &watched.events {
                if event.kv.as_ref().is_some_and(|kv| kv.key == self.keys.head()) {
                    revision = revision.max(event.kv.as_ref().map_or(0, |kv| kv.modified));
                }
                let change = value::change(&self.keys, event)?;
                changes.extend(change.filter(|change| change.key().starts_with(prefix)));
            }
        }
        let position = Position { epoch: after.epoch, revision };
        Ok(Changes::Since { changes, position, newest: newest.max(revision) })
    }
}
