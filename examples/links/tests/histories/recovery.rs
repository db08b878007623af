//! When a fault is over.

use onefold::testing::{Phase, ProcessStatus, TestSystem, eventually};
use std::time::Duration;

/// Waits until every process serves, and those that were killed have been started again.
pub(crate) async fn serves_again(system: &TestSystem, killed: &[ProcessStatus], within: Duration) {
    let is_started_again = |now: &ProcessStatus| {
        killed.iter().all(|before| before.name != now.name || (now.pid.is_some() && before.pid != now.pid))
    };
    eventually(within, "every process serves again", async || {
        let nodes = system.nodes();
        nodes.iter().all(|node| node.state == Phase::Ready && is_started_again(node))
            && nodes.iter().any(|node| node.role == "primary")
    })
    .await;
}
