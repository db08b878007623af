//! Endpoints without a network, for the tests of this crate.

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::endpoint::first_guess;
use crate::endpoint::node::Settings;
use crate::meters::EndpointMeters;
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, Clock, Member, Role};
use std::net::SocketAddr;
use std::sync::Arc;

/// Endpoints on a clock that stands still.
pub(crate) struct Fleet {
    pub(crate) clock: Clock,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// One endpoint for each zone that is named.
pub(crate) fn fleet(zones: &[&str]) -> Fleet {
    let clock = Clock::manual();
    let settings = Arc::new(Config::default().endpoint_settings(&clock, 1));
    let metrics = Metrics::new();
    let endpoints =
        zones.iter().enumerate().map(|(i, zone)| endpoint(i, zone, &metrics, &settings)).collect();
    Fleet { clock, endpoints }
}

/// The member that stands `i`-th.
pub(crate) fn member(i: usize, zone: &str) -> Member {
    let address = |base: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(base + i).unwrap()));
    Member {
        name: format!("app-{i}").parse().unwrap(),
        role: Role::App,
        zone: zone.parse().unwrap(),
        address: Some(address(1000)),
        admin: address(2000),
        boot: Boot::new(),
        build: String::new(),
    }
}

fn endpoint(i: usize, zone: &str, metrics: &Metrics, settings: &Arc<Settings>) -> Arc<Endpoint> {
    let member = member(i, zone);
    let address = member.address.unwrap();
    let meters = EndpointMeters::new(metrics, member.name.as_str());
    Arc::new(Endpoint::new(member, address, meters, first_guess(std::iter::empty()), settings.clone()))
}
