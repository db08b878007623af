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
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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
    /// Connections at once; one more is closed with a 503.
    pub(crate) connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(75), head_bytes_max: 64 * 1024, connections_max: 10_000 }
    }
}

/// What one connection too many is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 106\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"too many connections are open\"}";

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
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without this, small answers may wait 40 ms for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    turn_away(&stream, tls.is_some());
                    continue;
                };
                let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
                tasks.spawn("connection", async move {
                    let _place = place;
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

/// Without waiting: a task for each would be what there are too many of. A fresh socket's buffer holds the answer.
fn turn_away(stream: &TcpStream, is_tls: bool) {
    if !is_tls {
        // Whoever has gone already needs none.
        let _ = stream.try_write(TOO_MANY);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn said(address: SocketAddr) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"ok") && !bytes.ends_with(b"}") {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break;
            }
        }
        (stream, String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_so_and_the_place_is_free_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(async || "ok"));
        let (tasks, stopping) = (TaskGroup::new(), CancellationToken::new());
        let limits = Limits { connections_max: 1, ..Limits::default() };
        let serving = serve(listener, router, limits, tasks.clone(), stopping.clone(), Duration::ZERO);
        let asking = async {
            let (first, text) = said(address).await;
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
            let head = TOO_MANY.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            assert!(
                String::from_utf8_lossy(TOO_MANY)
                    .contains(&format!("content-length: {}", TOO_MANY.len() - head))
            );
            drop(first);
            while !said(address).await.1.starts_with("HTTP/1.1 200") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stopping.cancel();
        };
        let both = async { tokio::join!(serving, asking) };
        tokio::time::timeout(Duration::from_secs(30), both).await.expect("an end in time");
    }
}
