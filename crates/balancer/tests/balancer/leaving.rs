//! Nodes that leave, a configuration service that is away, and the balancer's own end.

use crate::client::Client;
use crate::fleet::{Fleet, eventually, quick};
use crate::node::{Node, ok};
use onefold_balancer::{Config, Health};
use onefold_core::{Members, TaskGroup};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// A node that answers when the gate opens.
async fn gated(name: &str, zone: &str) -> (Node, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let text = name.to_owned();
    let node = Node::start(name, zone, move |_| {
        let (gate, text) = (held.clone(), text.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            ok(&text)
        }
    })
    .await;
    (node, gate)
}

async fn in_flight(fleet: &Fleet, node: &Node) -> Client {
    let mut client = fleet.client().await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("the request to arrive", || node.count() == 1).await;
    client
}

#[tokio::test]
async fn without_the_configuration_service_the_last_members_serve_on() {
    let node = Node::plain("app-a", "a").await;
    let mut fleet = Fleet::start(quick(), &[&node]);
    assert_eq!(fleet.get("/").await.status, 200);
    fleet.set_members(Members::from([]));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.get("/").await.status, 200, "an empty snapshot is not believed");
    fleet.members = None;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.get("/").await.status, 200, "nor is the end of the watch");
    assert_eq!(fleet.balancer.endpoints().len(), 1);
}

#[tokio::test]
async fn an_unready_node_is_taken_out_and_finishes_what_it_has() {
    let (leaving, gate) = gated("leaving", "a").await;
    let staying = Node::plain("staying", "b").await;
    let fleet = Fleet::start(quick(), &[&leaving, &staying]);
    let mut client = in_flight(&fleet, &leaving).await;
    leaving.set_ready(false);
    fleet.until("leaving", Health::Unready).await;
    for _ in 0..10 {
        assert_eq!(fleet.get("/").await.text(), "staying");
    }
    gate.add_permits(1);
    assert_eq!(client.answer().await.unwrap().text(), "leaving");
}

#[tokio::test]
async fn a_member_that_disappears_finishes_what_it_has_and_a_new_one_is_used() {
    let (leaving, gate) = gated("leaving", "a").await;
    let fleet = Fleet::start(quick(), &[&leaving]);
    let mut client = in_flight(&fleet, &leaving).await;
    let coming = Node::plain("coming", "a").await;
    fleet.set_members([coming.member.clone()].into());
    fleet.until("coming", Health::Ready).await;
    assert_eq!(fleet.get("/").await.text(), "coming");
    assert_eq!(fleet.balancer.endpoints().len(), 1);
    gate.add_permits(1);
    assert_eq!(client.answer().await.unwrap().text(), "leaving");
}

#[tokio::test]
async fn a_node_that_restarts_is_used_again() {
    let node = Node::plain("app-a", "a").await;
    let fleet = Fleet::start(quick(), &[&node]);
    assert_eq!(fleet.get("/").await.status, 200);
    node.kill().await;
    fleet.until("app-a", Health::Unready).await;
    let again =
        Node::start_at("app-a", "a", node.member.address.unwrap(), |_| std::future::ready(ok("again"))).await;
    fleet.set_members([again.member.clone()].into());
    fleet.until("app-a", Health::Ready).await;
    assert_eq!(fleet.get("/").await.text(), "again");
}

#[tokio::test]
async fn no_request_fails_in_a_rolling_restart() {
    let names = ["app-a", "app-b", "app-c"];
    let mut nodes = Vec::new();
    for (name, zone) in names.into_iter().zip(["a", "b", "c"]) {
        nodes.push(Node::plain(name, zone).await);
    }
    let config = Config { prefer_zone: false, ..quick() };
    let fleet = Arc::new(Fleet::start(config, &[&nodes[0], &nodes[1], &nodes[2]]));
    let served = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let clients = TaskGroup::new();
    for i in 0..8 {
        let (fleet, served, failed, stopping) =
            (fleet.clone(), served.clone(), failed.clone(), clients.stopping());
        clients.spawn("client", async move {
            let mut client = fleet.client().await;
            let method = if i % 2 == 0 { "GET" } else { "POST" };
            let request = format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
            while !stopping.is_cancelled() {
                let counter = if client.ask(&request).await.status == 200 { &served } else { &failed };
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for i in 0..nodes.len() {
        let before = served.load(Ordering::SeqCst);
        eventually("requests", || served.load(Ordering::SeqCst) > before + 100).await;
        nodes[i].set_ready(false);
        fleet.until(names[i], Health::Unready).await;
        eventually("its last answer", || fleet.balancer.endpoints()[i].in_flight == 0).await;
        nodes[i].kill().await;
        let zone = nodes[i].member.zone.to_string();
        nodes[i] = Node::plain(names[i], &zone).await;
        fleet.set_members(nodes.iter().map(|node| node.member.clone()).collect());
        fleet.until(names[i], Health::Ready).await;
    }
    assert!(clients.stop(crate::client::PATIENCE).await);
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", served.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_newcomer_gets_its_share_soon() {
    let first = Node::plain("first", "a").await;
    let config = Config { slow_start: Duration::from_millis(100), ..quick() };
    let fleet = Fleet::start(config, &[&first]);
    for _ in 0..20 {
        fleet.get("/").await;
    }
    let second = Node::plain("second", "a").await;
    fleet.set_members([first.member.clone(), second.member.clone()].into());
    let tried = async {
        while second.count() < 5 {
            fleet.get("/").await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, tried).await.expect("its share");
}

#[tokio::test]
async fn a_draining_balancer_finishes_what_is_in_flight_and_says_goodbye() {
    let (node, gate) = gated("app-a", "a").await;
    let mut fleet = Fleet::start(quick(), &[&node]);
    let mut client = in_flight(&fleet, &node).await;
    let mut idle = fleet.client().await;
    idle.write(b"").await;
    let mut begun = fleet.client().await;
    begun.write(b"GET /begun HTTP/1.1\r\n").await;
    // Both of them are accepted once a third, later connection is served.
    tokio::time::sleep(Duration::from_millis(50)).await;
    fleet.stopping.cancel();
    assert!(idle.is_closed().await);
    eventually("the listener to close", || std::net::TcpStream::connect(fleet.address).is_err()).await;
    begun.write(b"host: a\r\n\r\n").await;
    eventually("the begun request to arrive", || node.count() == 2).await;
    gate.add_permits(2);
    for client in [&mut client, &mut begun] {
        let answer = client.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.text(), answer.header("connection")),
            (200, "app-a", Some("close"))
        );
        assert!(client.is_closed().await);
    }
    fleet.ended().await;
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let (node, _gate) = gated("app-a", "a").await;
    let config = Config { drain_timeout: Duration::from_millis(200), ..quick() };
    let mut fleet = Fleet::start(config, &[&node]);
    let mut client = in_flight(&fleet, &node).await;
    fleet.stopping.cancel();
    fleet.ended().await;
    assert!(client.is_closed().await);
    assert!(TcpStream::connect(fleet.address).await.is_err());
}
