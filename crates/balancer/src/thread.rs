//! One thread of the balancer: a runtime, its listeners, and the connections that it accepted.
//!
//! A runtime for each thread instead of one for all: requests stay where their connection is, and stealing work
//! costs 5 to 6 % (measured).

use crate::client_connection::{self, Draining};
use crate::error::Error;
use crate::lane::Lane;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Before accepting again after an error: most are a lack of file descriptors, which ends by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long an idle connection is left open in a drain: a client that uses it meanwhile is told with the answer that it
/// closes, where one that is closed at once may just have been sent a request.
const LINGER: Duration = Duration::from_millis(500);

/// Runs a thread until `stopping` is cancelled and its connections are done.
pub(crate) async fn start(
    lane: Arc<Lane>,
    listeners: Vec<std::net::TcpListener>,
    stopping: CancellationToken,
) -> Result<(), Error> {
    let (ended, end) = oneshot::channel();
    let name = format!("balancer-{}", lane.thread);
    let failing = stopping.clone();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let result = run(&lane, listeners, &stopping);
        if result.is_err() {
            // The others stop too: a balancer with a part of its threads would drop the rest's connections.
            failing.cancel();
        }
        // Nobody listens where the balancer's future was dropped.
        drop(ended.send(result));
    });
    thread.map_err(Error::Thread)?;
    let gone = || io::Error::other("the thread has panicked");
    end.await.unwrap_or_else(|_| Err(gone())).map_err(Error::Thread)
}

fn run(
    lane: &Arc<Lane>,
    listeners: Vec<std::net::TcpListener>,
    stopping: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listeners: Vec<_> =
            listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
        let tracker = TaskTracker::new();
        let draining = Arc::new(Draining::default());
        let accept = |stream, peer| client_connection::start(lane, stream, peer, &tracker, &draining);
        join_all(listeners.iter().map(|listener| accept_until(listener, stopping, &accept))).await;
        drop(listeners);
        draining.begin();
        tracker.close();
        let drained = async {
            let _ = tokio::time::timeout(LINGER, tracker.wait()).await;
            draining.end_linger();
            tracker.wait().await;
        };
        let drain = lane.shared.config.drain_timeout;
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!(connections = tracker.len(), "connections dropped at the drain deadline");
        }
        Ok(())
    })
}

async fn accept_until(
    listener: &TcpListener,
    stopping: &CancellationToken,
    accept: &impl Fn(TcpStream, std::net::SocketAddr),
) {
    let mut stopped = pin!(stopping.cancelled());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stopped => break,
        }
    }
    // Closing the listener would reset what waits in its queue: these clients were told that they are connected.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        accept(stream, peer);
    }
}
