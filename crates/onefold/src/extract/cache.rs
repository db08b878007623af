//! The cache.

use super::Context;
use crate::error::{Error, Result};
use onefold_cache::{Cached, Key};
use onefold_database::{Read, Reader};
use serde::{Serialize, de::DeserializeOwned};

/// The cache, in the request's session: what it answers is what the database would, at the level asked for.
#[derive(Clone)]
pub struct Cache {
    context: Context,
    level: Read,
}

impl Cache {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, level: Read::default() }
    }

    /// The cache at another level than [`Read::YourWrites`].
    #[must_use]
    pub fn at(mut self, level: Read) -> Self {
        self.level = level;
        self
    }

    /// The value of a key, from this node, from the shared cache, or loaded: by one caller for all that wait.
    ///
    /// The loader is handed a reader that is fresh enough for this session; what it loads is stored only as far as
    /// that reader vouches for it. `None` is remembered as well.
    ///
    /// # Errors
    /// The loader's own, and those of the database where the loader has to be run.
    pub async fn get_or<K, V, E, F>(&self, keys: &Cached<K, V>, key: &K, load: F) -> Result<Option<V>>
    where
        K: Key + ?Sized,
        V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Into<Error>,
        F: AsyncFnOnce(Reader) -> Result<Option<V>, E>,
    {
        let session = self.context.session.clone().with_level(self.context.levels.effective(self.level));
        let load = async |reader| load(reader).await.map_err(Into::into);
        self.context.node.cache.get_or(&session, keys, key, load).await
    }
}
