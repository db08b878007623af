//! Many clients at once that mean no good: what they hold is bounded, and the others do not notice.

use crate::fleet::{Fleet, eventually, quick};
use crate::node::{Node, ok, streamed};
use futures_util::{StreamExt as _, stream};
use onefold_balancer::Config;

/// Of each kind.
const HOSTILE: usize = 60;
/// What each of them may cost, in this process that also plays the node and the clients themselves.
const BYTES_EACH_MAX: usize = 512 << 10;
const PIECE_BYTES: usize = 256 << 10;

/// Memory that is in use; zero where the machine does not say.
fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).map_or(0, |pages| pages * PAGE)
}

#[tokio::test]
async fn idle_slow_oversized_and_deaf_clients_hold_little_and_harm_nobody() {
    let piece: &'static str = "x".repeat(PIECE_BYTES).leak();
    let node = Node::start("app-a", "a", move |seen| async move {
        if seen.target == "/large" { Some(streamed(stream::repeat(piece).take(400))) } else { ok("fine") }
    })
    .await;
    let config = Config { endpoint_connections_max: 4 * HOSTILE, ..quick() };
    let fleet = Fleet::start(config, &[&node]);
    assert_eq!(fleet.get("/").await.text(), "fine");
    let before = resident_bytes();
    let oversized = format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {}\r\n\r\n", "x".repeat(1 << 20));
    let mut held = Vec::new();
    for _ in 0..HOSTILE {
        let [idle, mut head, mut body, mut deaf] =
            [fleet.client().await, fleet.client().await, fleet.client().await, fleet.client().await];
        head.write(b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
        body.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\nabc").await;
        deaf.write(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
        held.extend([idle, head, body, deaf]);
        assert_eq!(fleet.raw(oversized.as_bytes()).await.map_or(431, |answer| answer.status), 431);
    }
    let large = || node.seen().iter().filter(|seen| seen.target == "/large").count();
    eventually("the large ones to be asked for", || large() == HOSTILE).await;
    for _ in 0..20 {
        assert_eq!(fleet.get("/").await.text(), "fine");
    }
    let grown = resident_bytes().saturating_sub(before);
    let most = held.len() * BYTES_EACH_MAX;
    assert!(grown < most, "{grown} bytes for {} clients, {} of whom were sent 100 MiB", held.len(), HOSTILE);
    println!("{} KiB for each of {} clients", grown / held.len() / 1024, held.len());
}
