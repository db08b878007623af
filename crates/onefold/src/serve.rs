//! An HTTP/1 server for a router: limits while it runs, no cut answers when it stops.

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use onefold_console::Acceptor;
use onefold_core::TaskGroup;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Where connections come in: plainly, or through TLS.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Acceptor>,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// What a server allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a connection may be idle or slow with a request's head. Longer than the balancer's idle
    /// timeout, so that no request meets a closing connection.
    pub(crate) head_timeout: Duration,
    /// A request's head, in bytes.
    pub(crate) head_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(75), head_bytes_max: 64 * 1024 }
    }
}

/// How long to rest when the process has run out of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Takes connections until `stopping`, then answers what is under way, with `connection: close`, for as long as
/// `drain`.
pub(crate) async fn serve(
    door: impl Into<Door>,
    router: Router,
    limits: Limits,
    tasks: TaskGroup,
    stopping: CancellationToken,
    drain: Duration,
) {
    let Door { listener, tls } = door.into();
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without this, small answers may wait 40 ms for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
                tasks.spawn("connection", async move {
                    // A client that goes away in the middle is its own affair, and so is one that cannot shake hands.
                    match tls {
                        None => connection(stream, peer, router, limits, watcher).await,
                        Some(tls) => {
                            if let Ok(inside) = tls.accept(stream).await {
                                connection(inside, peer, router, limits, watcher).await;
                            }
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut at the drain deadline");
    }
}

async fn connection<S>(stream: S, peer: SocketAddr, router: Router, limits: Limits, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes_max)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = watcher.watch(connection).await;
}
