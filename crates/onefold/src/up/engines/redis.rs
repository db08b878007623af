//! The cache's Redis Cluster that `up` runs itself, where the topology chooses Redis and names none of the team's own.

use super::Ground;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_cache::Engine;
use onefold_cache::redis::local::LocalRedis;
use onefold_core::engine::LocalEngine;

pub(super) async fn plan(
    topology: &Topology,
    ground: &mut Ground<'_>,
) -> Result<Option<Box<dyn LocalEngine>>, Failure> {
    if topology.cache.engine != Engine::Redis || topology.cache.url.is_some() {
        return Ok(None);
    }
    let site = ground.site_with_peers(LocalRedis::names())?;
    Ok(Some(Box::new(LocalRedis::plan(site, &topology.cache.prefix, ground.host).await?)))
}
