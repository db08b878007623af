//! Applies the invalidations of writers that died between their commit and their answer, or could not reach L2.
//!
//! Every node does it: an invalidation may be applied twice, so nobody has to be elected.

use crate::invalidation::{SUBJECT, key_of};
use crate::key::CacheKey;
use crate::node::Node;
use onefold_database::Error;
use std::sync::Arc;
use std::time::Duration;

/// What a writer has not confirmed by then is applied for it.
const OLDER_THAN: Duration = Duration::from_millis(50);
const EVERY: Duration = Duration::from_millis(100);
/// With a spread, so that nodes seldom meet.
const SPREAD_PERCENT: u8 = 30;
const ROWS_MAX: usize = 500;
/// While L2 or the primary is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Looks for unconfirmed invalidations until the node stops.
pub(crate) async fn dispatch(node: Arc<Node>) {
    loop {
        let pause = match round(&node).await {
            Ok(ROWS_MAX) => continue,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::debug!(%error, "dispatch invalidations");
                RETRY_AFTER
            }
        };
        tokio::time::sleep(crate::space::jittered(pause, SPREAD_PERCENT, rand::random())).await;
    }
}

async fn round(node: &Node) -> Result<usize, Error> {
    let outbox = node.database.outbox();
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let rows = outbox.unacknowledged(SUBJECT, OLDER_THAN, limit).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    // A row that can be seen is flushed.
    let at = node.database.flush_lsn().await?;
    let keys: Vec<CacheKey> = rows.iter().filter_map(|row| key_of(&row.payload)).collect();
    if !node.invalidate(&keys, at).await {
        return Err(Error::Unavailable("shared cache"));
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    outbox.acknowledge(&ids).await?;
    node.telemetry.invalidations_dispatched.inc_by(rows.len() as u64);
    tracing::info!(rows = rows.len(), "applied invalidations that their writers had not confirmed");
    Ok(rows.len())
}

/// Keeps L2 small until the node stops.
pub(crate) async fn sweep(node: Arc<Node>) {
    let Some(l2) = &node.l2 else { return };
    loop {
        tokio::time::sleep(crate::space::jittered(SWEEP_EVERY, SPREAD_PERCENT, rand::random())).await;
        match l2.sweep().await {
            Ok(gone) if gone > 0 => tracing::debug!(rows = gone, "swept the shared cache"),
            // The breaker has told already.
            Ok(_) | Err(_) => {}
        }
    }
}
