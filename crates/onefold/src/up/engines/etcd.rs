//! The configuration service on etcd that `up` runs itself, where the topology asks for etcd and names no member.

use super::Ground;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_coordination::Engine;
use onefold_coordination::etcd::local::LocalEtcd;
use onefold_core::engine::LocalEngine;

pub(super) async fn plan(
    topology: &Topology,
    ground: &mut Ground<'_>,
) -> Result<Option<Box<dyn LocalEngine>>, Failure> {
    let config = &topology.coordination;
    if config.engine != Engine::Etcd || !config.endpoints.is_empty() {
        return Ok(None);
    }
    let site = ground.site(LocalEtcd::names())?;
    Ok(Some(Box::new(LocalEtcd::plan(site, &config.prefix, ground.host).await?)))
}
