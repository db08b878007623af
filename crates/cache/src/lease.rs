//! A lease in hand: used once, or given back when dropped.

use crate::decision::LeaseId;
use crate::key::CacheKey;
use crate::l2::Fill;
use crate::node::Node;
use onefold_database::Evidence;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Held {
    node: Arc<Node>,
    key: CacheKey,
    lease: Option<LeaseId>,
}

impl Held {
    pub(crate) fn new(node: &Arc<Node>, key: &CacheKey, lease: LeaseId) -> Self {
        Self { node: Arc::clone(node), key: key.clone(), lease: Some(lease) }
    }

    /// Stores a value under the lease. Answers whether it was stored; none where L2 does not answer.
    pub(crate) async fn fill(
        mut self,
        payload: &[u8],
        evidence: Evidence,
        ttl: Duration,
        keep_stale: Duration,
    ) -> Option<bool> {
        let l2 = self.node.l2.as_ref()?;
        if payload.len() > l2.capabilities().value_bytes_max {
            return None;
        }
        let stored =
            l2.fill(&self.key, self.lease?, Fill { payload, evidence, ttl, keep_stale }).await.ok()?;
        // Used, or void already.
        self.lease = None;
        Some(stored)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let (node, key) = (Arc::clone(&self.node), self.key.clone());
        self.node.tasks.spawn("cache-lease-release", async move {
            if let Some(l2) = &node.l2 {
                // It would end by itself, only later.
                let _ = l2.release(&key, lease).await;
            }
        });
    }
}
