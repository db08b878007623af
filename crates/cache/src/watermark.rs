//! The watermark: every invalidation up to it has been applied in this node. It comes from the outbox's tail alone,
//! for the bus loses messages and does not keep order.

use crate::invalidation::{SUBJECT, key_of};
use crate::key::CacheKey;
use crate::node::Node;
use onefold_core::Lsn;
use onefold_database::{OutboxRow, Tail};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Follows the tail until the node stops.
pub(crate) async fn follow(node: Arc<Node>) {
    let mut tail = node.database.tail(SUBJECT);
    // Rows are believed only between a beginning that was brought into step and the next gap.
    let mut in_step = false;
    while let Some(next) = tail.recv().await {
        in_step = match next {
            Tail::Begin { .. } => begin(&node).await,
            Tail::Rows { rows, watermark } if in_step => apply(&node, &rows, watermark).await,
            Tail::Rows { .. } => false,
            Tail::Gap => {
                lose(&node);
                false
            }
        };
        node.tail_in_step.store(in_step, Ordering::Release);
        if !in_step && node.l1.watermark() != Lsn::ZERO {
            lose(&node);
        }
    }
}

/// Of what was committed before, the tail says nothing: whatever is in must go, and loads must have seen the position
/// of now, which lies beyond the tail's beginning.
async fn begin(node: &Node) -> bool {
    match node.database.flush_lsn().await {
        Ok(flushed) => {
            node.l1.raise_floors(flushed);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "the cache's tail waits for the next beginning");
            false
        }
    }
}

/// The rows may be ahead of the watermark, so the position that covers them is asked for.
async fn apply(node: &Node, rows: &[OutboxRow], watermark: Lsn) -> bool {
    let keys: Vec<CacheKey> = rows.iter().filter_map(|row| key_of(&row.payload)).collect();
    if !keys.is_empty() {
        match node.database.flush_lsn().await {
            Ok(flushed) => node.l1.apply_tail(&keys, flushed),
            Err(error) => {
                tracing::debug!(%error, "the cache's tail is lost with the primary");
                return false;
            }
        }
    }
    node.l1.set_watermark(watermark);
    true
}

fn lose(node: &Node) {
    node.telemetry.gaps_tail.inc();
    node.l1.set_watermark(Lsn::ZERO);
    node.l1.forget();
}
