//! Locks.

use super::Context;
use crate::error::{Error, Result};
use onefold_coordination::Lock;
use std::time::Duration;

/// Locks with fencing tokens: what [`Tx::fence`](crate::Tx::fence) checks in the transaction that it protects.
#[derive(Clone)]
pub struct Locks {
    context: Context,
}

impl Locks {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Takes the lock if it is free, for as long as the guard lives and renews; `ttl` after the holder's death it
    /// is free again.
    ///
    /// # Errors
    /// `Unavailable` while the configuration service is away.
    pub async fn try_lock(&self, name: &str, ttl: Duration) -> Result<Option<Lock>> {
        self.context.node.coordination.locks().try_lock(name, ttl).await.map_err(Error::from)
    }
}
