//! Where requests go.

use crate::client::Client;
use crate::fleet::{Fleet, eventually, quick};
use crate::node::{Node, NodeBody, ok, status, streamed};
use http::{Response, StatusCode};
use onefold_balancer::{Config, Health};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Runs `clients` at once, each with `requests` in sequence on one connection.
async fn load(fleet: &Fleet, clients: usize, requests: usize, path: &str) -> Vec<u16> {
    let all = (0..clients).map(|_| async {
        let mut client = fleet.client().await;
        let mut statuses = Vec::new();
        for _ in 0..requests {
            statuses.push(client.get(path).await.status);
        }
        statuses
    });
    futures_util::future::join_all(all).await.concat()
}

#[tokio::test]
async fn a_slow_endpoint_gets_less_traffic() {
    let fast = Node::plain("fast", "a").await;
    let slow = Node::start("slow", "a", |_| async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        ok("slow")
    })
    .await;
    let fleet = Fleet::start(Config { slow_start: Duration::ZERO, ..quick() }, &[&fast, &slow]);
    let statuses = load(&fleet, 8, 50, "/").await;
    assert!(statuses.iter().all(|status| *status == 200));
    assert!(slow.count() * 5 < fast.count(), "slow {} fast {}", slow.count(), fast.count());
    assert!(slow.count() > 0, "it was tried");
}

#[tokio::test]
async fn the_own_zone_is_served_first_and_others_when_it_is_out() {
    let nodes =
        [Node::plain("app-a", "a").await, Node::plain("app-b", "b").await, Node::plain("app-c", "c").await];
    let fleet = Fleet::start(quick(), &[&nodes[0], &nodes[1], &nodes[2]]);
    load(&fleet, 1, 20, "/").await;
    assert_eq!([nodes[0].count(), nodes[1].count(), nodes[2].count()], [20, 0, 0]);
    nodes[0].set_ready(false);
    fleet.until("app-a", Health::Unready).await;
    assert!(load(&fleet, 2, 10, "/").await.iter().all(|status| *status == 200));
    assert_eq!(nodes[0].count(), 20);
    nodes[0].set_ready(true);
    fleet.until("app-a", Health::Ready).await;
    load(&fleet, 1, 5, "/").await;
    assert!(nodes[0].count() > 20);
}

#[tokio::test]
async fn without_zone_preference_all_serve() {
    let nodes =
        [Node::plain("app-a", "a").await, Node::plain("app-b", "b").await, Node::plain("app-c", "c").await];
    let fleet = Fleet::start(Config { prefer_zone: false, ..quick() }, &[&nodes[0], &nodes[1], &nodes[2]]);
    load(&fleet, 8, 40, "/").await;
    assert!(
        nodes.iter().all(|node| node.count() > 0),
        "{:?}",
        nodes.iter().map(Node::count).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_failing_endpoint_is_ejected_and_returns_by_one_good_probe() {
    let is_broken = Arc::new(AtomicBool::new(true));
    // All take a while, so that many requests are at the failing one before its first failure makes it dear.
    let pause = Duration::from_millis(200);
    let broken = is_broken.clone();
    let failing = Node::start("failing", "a", move |_| {
        let broken = broken.clone();
        async move {
            if !broken.load(Ordering::SeqCst) {
                return ok("back");
            }
            tokio::time::sleep(pause).await;
            Some(status(StatusCode::SERVICE_UNAVAILABLE))
        }
    })
    .await;
    let slow = |name| {
        Node::start(name, "a", move |_| async move {
            tokio::time::sleep(pause).await;
            ok("good")
        })
    };
    let good = [slow("good-1").await, slow("good-2").await];
    let config = Config { ejection_base: Duration::from_millis(1500), slow_start: Duration::ZERO, ..quick() };
    let fleet = Fleet::start(config, &[&failing, &good[0], &good[1]]);
    load(&fleet, 36, 1, "/").await;
    fleet.until("failing", Health::Ejected).await;
    assert!((fleet.metric("onefold_balancer_ejections_total{endpoint=\"failing\"}") - 1.0).abs() < 0.5);
    let during = failing.count();
    load(&fleet, 5, 1, "/").await;
    assert_eq!(failing.count(), during, "nothing goes to an ejected endpoint");
    is_broken.store(false, Ordering::SeqCst);
    let back = async {
        while fleet.balancer.endpoints()[0].health != Health::Ready {
            fleet.get("/").await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, back).await.expect("its return");
    assert_eq!(failing.count(), during + 1, "one probe decided it");
}

#[tokio::test]
async fn an_endpoint_that_fails_fast_attracts_nothing() {
    let failing =
        Node::start("failing", "a", |_| async { Some(status(StatusCode::SERVICE_UNAVAILABLE)) }).await;
    let slower = Node::start("slower", "a", |_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ok("slower")
    })
    .await;
    let config = Config { slow_start: Duration::ZERO, ejection_failures: u32::MAX, ..quick() };
    let fleet = Fleet::start(config, &[&failing, &slower]);
    load(&fleet, 4, 20, "/").await;
    assert!(failing.count() * 5 < slower.count(), "{} failed, {} served", failing.count(), slower.count());
}

#[tokio::test]
async fn a_clients_mistakes_and_a_handlers_bugs_eject_nobody() {
    let node =
        Node::start("app-a", "a", |seen| async move { Some(status(seen.target[1..].parse().unwrap())) })
            .await;
    let fleet = Fleet::start(quick(), &[&node]);
    for code in ["/400", "/404", "/409", "/429", "/500"] {
        for status in load(&fleet, 1, 10, code).await {
            assert_eq!(code, format!("/{status}"));
        }
    }
    assert_eq!(fleet.balancer.endpoints()[0].health, Health::Ready);
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}

#[tokio::test]
async fn when_nobody_is_ready_health_is_ignored() {
    let nodes = [Node::plain("app-a", "a").await, Node::plain("app-b", "b").await];
    for node in &nodes {
        node.set_ready(false);
    }
    let fleet = Fleet::start(quick(), &[&nodes[0], &nodes[1]]);
    for name in ["app-a", "app-b"] {
        fleet.until(name, Health::Unready).await;
    }
    assert_eq!(fleet.get("/").await.status, 200);
    eventually("the gauge", || (fleet.metric("onefold_balancer_panic") - 1.0).abs() < 0.5).await;
}

/// Five pieces, all but the first of which wait for the gate.
fn dripping(gate: &Arc<Semaphore>) -> Response<NodeBody> {
    let gate = gate.clone();
    streamed(futures_util::stream::unfold(0, move |sent| {
        let gate = gate.clone();
        async move {
            if sent > 0 {
                gate.acquire().await.ok()?.forget();
            }
            (sent < 5).then_some(("drip", sent + 1))
        }
    }))
}

#[tokio::test]
async fn a_slow_stream_blocks_nobody() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let node = Node::start("app-a", "a", move |seen| {
        let slow = (seen.target == "/slow").then(|| dripping(&held));
        async move { slow.or_else(|| ok("fast")) }
    })
    .await;
    let fleet = Fleet::start(Config { threads: 1, ..quick() }, &[&node]);
    let mut slow = fleet.client().await;
    slow.write(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    slow.more_than(0).await;
    assert!(load(&fleet, 4, 20, "/fast").await.iter().all(|status| *status == 200));
    assert!(node.connections() <= 5, "connections are used again: {}", node.connections());
    gate.add_permits(10);
    let answer = slow.answer().await.unwrap();
    assert_eq!(answer.text(), "drip".repeat(5));
    eventually("nothing in flight", || fleet.balancer.endpoints()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_full_line_is_told_at_once_and_the_rest_is_served() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let node = Node::start("app-a", "a", move |_| {
        let gate = held.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            ok("served")
        }
    })
    .await;
    let config = Config {
        threads: 1,
        endpoint_connections_max: 1,
        endpoint_queue_max: 1,
        queue_timeout: Duration::from_secs(20),
        ..quick()
    };
    let fleet = Fleet::start(config, &[&node]);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = fleet.client().await;
    first.write(request).await;
    eventually("the first to arrive", || node.count() == 1).await;
    let mut second = fleet.client().await;
    second.write(request).await;
    eventually("the second in line", || fleet.balancer.endpoints()[0].in_flight == 2).await;
    let third = fleet.get("/").await;
    assert_eq!((third.status, third.header("retry-after")), (503, Some("1")));
    gate.add_permits(2);
    for client in [&mut first, &mut second] {
        assert_eq!(client.answer().await.unwrap().text(), "served");
    }
    assert_eq!(node.connections(), 1, "never more than allowed");
}

#[tokio::test]
async fn a_turn_that_does_not_come_in_time_is_a_503() {
    let node = Node::start("app-a", "a", |_| std::future::pending()).await;
    let config = Config {
        threads: 1,
        endpoint_connections_max: 1,
        queue_timeout: Duration::from_millis(100),
        ..quick()
    };
    let fleet = Fleet::start(config, &[&node]);
    let mut first = fleet.client().await;
    first.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("the first to arrive", || node.count() == 1).await;
    assert_eq!(fleet.get("/").await.status, 503);
}

struct Noted(Arc<AtomicUsize>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request_at_the_node() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let noted = dropped.clone();
    let node = Node::start("app-a", "a", move |_| {
        let noted = Noted(noted.clone());
        async move {
            std::future::pending::<()>().await;
            drop(noted);
            None
        }
    })
    .await;
    let fleet = Fleet::start(quick(), &[&node]);
    let mut client = Client::connect(fleet.address).await;
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("the request to arrive", || node.count() == 1).await;
    drop(client);
    eventually("its end at the node", || dropped.load(Ordering::SeqCst) == 1).await;
    eventually("nothing in flight", || fleet.balancer.endpoints()[0].in_flight == 0).await;
    assert!((fleet.metric("onefold_balancer_endpoint_failures_total{endpoint=\"app-a\"}")).abs() < 0.5);
}
