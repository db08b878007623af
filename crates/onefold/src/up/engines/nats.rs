//! The NATS that `up` runs itself for the queue, unless the topology says where the team's own is.

use super::Ground;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_core::engine::LocalEngine;
use onefold_queue::Engine;
use onefold_queue::nats::local::LocalNats;

pub(super) async fn plan(
    topology: &Topology,
    ground: &mut Ground<'_>,
) -> Result<Option<Box<dyn LocalEngine>>, Failure> {
    if topology.queue.engine != Engine::Nats || topology.queue.url.is_some() {
        return Ok(None);
    }
    let site = ground.site_with_peers(LocalNats::names())?;
    Ok(Some(Box::new(LocalNats::plan(site, ground.host).await?)))
}
