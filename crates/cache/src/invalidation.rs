//! An invalidation as an effect of a transaction: written with it, in force when its commit is answered.

use crate::cache::Cache;
use crate::key::CacheKey;
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use onefold_database::{Effect, OutboxRecord};

/// The subject of this tier's rows in the outbox.
pub(crate) const SUBJECT: &str = "cache";

/// To be attached to a transaction that changes what an entry was made of.
#[derive(Debug)]
pub struct Invalidation {
    cache: Cache,
    key: CacheKey,
}

impl Invalidation {
    pub(crate) fn new(cache: Cache, key: CacheKey) -> Self {
        Self { cache, key }
    }
}

impl Effect for Invalidation {
    fn record(&self) -> Option<OutboxRecord> {
        Some(OutboxRecord { subject: SUBJECT, payload: self.key.text().as_bytes().to_vec() })
    }

    fn committed(self: Box<Self>, at: Lsn) -> BoxFuture<'static, bool> {
        Box::pin(async move {
            let node = self.cache.node();
            let confirmed = node.invalidate(&self.key, at).await;
            let telemetry = &node.telemetry;
            let counter = if confirmed {
                &telemetry.invalidations_confirmed
            } else {
                &telemetry.invalidations_unconfirmed
            };
            counter.inc();
            tracing::debug!(cache.key = self.key.text(), database.lsn = %at, confirmed, "cache entry invalidated");
            confirmed
        })
    }
}

/// The key of an outbox row; none where it is not one of ours.
pub(crate) fn key_of(payload: &[u8]) -> Option<CacheKey> {
    std::str::from_utf8(payload).ok().filter(|text| text.contains(':')).map(CacheKey::from_text)
}
