//! A balancer in front of a fixed list of nodes, for benches and for a first look.
//!
//! ```sh
//! cargo run --release -p onefold-balancer --example static -- 127.0.0.1:8080 1 127.0.0.1:9001 127.0.0.1:9002
//! ```
//!
//! The arguments are where to listen, how many threads to run (0 for one per core), and the nodes. The nodes are
//! not asked for `/readyz`, since a bench's have no admin port: each counts as ready.

use onefold_balancer::{Balancer, Config};
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, Clock, Member, Members, Role};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: static LISTEN THREADS NODE...";
    let listen: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let threads = arguments.next().ok_or(usage)?.parse()?;
    let members: Members =
        arguments.enumerate().map(|(i, node)| member(i, &node)).collect::<Result<Vec<_>, _>>()?.into();
    let config = Config {
        threads,
        prefer_zone: false,
        access_log: false,
        check_failures: u32::MAX,
        check_interval: Duration::from_hours(1),
        ..Config::default()
    };
    let (_members, watched) = watch::channel(members);
    let (zone, name) = ("a".parse()?, "balancer".parse()?);
    let balancer = Balancer::new(config, &zone, &name, watched, &Metrics::new(), Clock::system());
    let bound = balancer.bind(listen)?;
    eprintln!("listening on {}", bound.address());
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let (served, ()) = tokio::join!(bound.serve(stopping), async move {
        // Without a way to hear of Ctrl-C it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    Ok(served?)
}

fn member(i: usize, node: &str) -> Result<Member, Box<dyn Error>> {
    Ok(Member {
        name: format!("node-{i}").parse()?,
        role: Role::App,
        zone: "a".parse()?,
        address: Some(node.parse()?),
        // Nothing listens there, and `check_failures` never runs out.
        admin: SocketAddr::from(([127, 0, 0, 1], 1)),
        boot: Boot::new(),
        build: String::new(),
    })
}
