//! The balancer by itself, with a static list of members: as the role `balancer` makes it, in one thread.

use crate::peer::AccessLog;
use anyhow::{Context as _, Result};
use onefold_balancer::{Balancer, Config};
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, Clock, Member, Members, NodeName, Role, TaskGroup, Zone};
use onefold_observability::emit;
use std::net::SocketAddr;
use tokio::sync::watch;

/// Serves, for ever. The log goes to standard error, as in every node.
pub(crate) async fn serve(port: u16, backends: &[u16], log: AccessLog) -> Result<()> {
    let (node, zone): (NodeName, Zone) = ("balancer".parse()?, "a".parse()?);
    let resource = emit::Resource {
        service: "bench".to_owned(),
        node: node.clone(),
        version: "bench".to_owned(),
        role: Role::Balancer,
        zone: zone.clone(),
    };
    let metrics = Metrics::new();
    emit::install(&resource, &emit::Config::default(), &metrics, Clock::system())
        .context("install the subscriber")?;
    let config = Config { threads: 1, access_log: log == AccessLog::On, ..Config::default() };
    // The last members stay in force when the sender is gone.
    let (_, members) = watch::channel(members(backends)?);
    let balancer = Balancer::new(config, &zone, &node, members, &metrics, Clock::system());
    let stopping = TaskGroup::new().stopping();
    balancer.serve(SocketAddr::from(([127, 0, 0, 1], port)), stopping).await.context("serve")
}

/// All in the zone of the balancer, so that it chooses among all of them.
fn members(backends: &[u16]) -> Result<Members> {
    let member = |(number, port): (usize, &u16)| {
        let address = SocketAddr::from(([127, 0, 0, 1], *port));
        anyhow::Ok(Member {
            name: format!("app-{number}").parse()?,
            role: Role::App,
            zone: "a".parse()?,
            address: Some(address),
            admin: address,
            boot: Boot::new(),
            build: "bench".to_owned(),
        })
    };
    backends.iter().enumerate().map(member).collect()
}
