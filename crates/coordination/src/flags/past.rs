//! What a flag was, and the way back to it.

use super::{Flags, KEYS, key};
use crate::error::Error;
use crate::store::{Past, Position, Writer, as_of, latest};
use std::collections::HashMap;

impl Flags {
    /// The last change of each of these flags, by name, in one question.
    pub async fn latest(&self, names: impl Iterator<Item = &str>) -> Result<HashMap<String, Past>, Error> {
        latest(&*self.store, KEYS, names).await
    }

    /// What a flag was, the newest first.
    pub async fn history(&self, name: &str, limit: u32) -> Result<Vec<Past>, Error> {
        self.store.history(&key(name), limit).await
    }

    /// Goes back to what a flag was after `revision`, if this build still takes that; where there was none, it is
    /// deleted.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nothing is known of that revision, or what was then is no longer good;
    /// [`Error::NotFound`] where there is no flag now and was none then.
    pub async fn rollback(&self, name: &str, revision: i64, writer: Writer) -> Result<Position, Error> {
        let past = self.history(name, u32::MAX).await?;
        let then = as_of(&past, revision).map_err(|why| Error::invalid("flag", name, why))?;
        let writer = writer.or_reason(|| format!("rollback to revision {revision}"));
        match &then.value {
            Some(flag) => self.put(name, flag.clone(), writer).await,
            None => self.delete(name, writer).await,
        }
    }
}
