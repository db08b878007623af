//! A balancer in front of nodes.

use crate::client::{Answer, Client, PATIENCE};
use crate::node::Node;
use onefold_balancer::{Balancer, Config, Error, Health};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Members, TaskGroup};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// A running balancer, in zone a.
pub(crate) struct Fleet {
    pub(crate) address: SocketAddr,
    pub(crate) balancer: Balancer,
    pub(crate) members: Option<watch::Sender<Members>>,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: CancellationToken,
    ended: Option<oneshot::Receiver<Result<(), Error>>>,
}

/// Limits that a test need not wait for, and two threads, so that nothing is only right on one.
pub(crate) fn quick() -> Config {
    Config {
        threads: 2,
        check_interval: Duration::from_millis(50),
        drain_timeout: Duration::from_secs(5),
        ..Config::default()
    }
}

impl Fleet {
    pub(crate) fn start(config: Config, nodes: &[&Node]) -> Self {
        let members: Members = nodes.iter().map(|node| node.member.clone()).collect();
        let (members, watched) = watch::channel(members);
        let metrics = Metrics::new();
        let (zone, name) = ("a".parse().unwrap(), "balancer".parse().unwrap());
        let balancer = Balancer::new(config, &zone, &name, watched, &metrics, Clock::system());
        let bound = balancer.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = bound.address();
        let stopping = CancellationToken::new();
        let (sender, ended) = oneshot::channel();
        let stop = stopping.clone();
        TaskGroup::new().spawn("balancer", async move {
            // A test that does not stop its balancer does not hear of its end.
            drop(sender.send(bound.serve(stop).await));
        });
        Self { address, balancer, members: Some(members), metrics, stopping, ended: Some(ended) }
    }

    /// Tells the balancer of other members.
    pub(crate) fn set_members(&self, members: Members) {
        self.members.as_ref().unwrap().send_replace(members);
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// Sends raw bytes on a connection of their own, and answers the first response.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut client = self.client().await;
        client.write_if_open(bytes).await;
        client.answer().await
    }

    /// Waits until an endpoint is so.
    pub(crate) async fn until(&self, name: &str, health: Health) {
        let is_so =
            || self.balancer.endpoints().iter().any(|e| e.name.as_str() == name && e.health == health);
        eventually(&format!("{name} to be {health:?}"), is_so).await;
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = self.metrics.render().replace("{}", "");
        let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("no {line} in\n{text}"))
    }

    /// The balancer's end, once it was told to stop.
    pub(crate) async fn ended(&mut self) {
        let ended = self.ended.take().unwrap();
        tokio::time::timeout(PATIENCE, ended).await.expect("an end in time").unwrap().unwrap();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Waits for a state.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain for {what}");
}
