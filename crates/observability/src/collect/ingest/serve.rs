//! Connections of senders: HTTP/1.1 and HTTP/2 on the same port, told apart by their first bytes.

use super::answer::Refusal;
use super::{Accepted, Ingest, grpc, http};
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use onefold_core::TaskGroup;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long to rest when the process has run out of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// How long requests under way may take when the observer stops.
const DRAIN: Duration = Duration::from_secs(5);
/// A dead peer is noticed after this and the same again.
const PING: Duration = Duration::from_secs(20);
/// Requests at once on one connection.
const STREAMS_MAX: u32 = 32;
/// What a sender may send before the first part is read: one request of usual size.
const WINDOW_BYTES: u32 = 1 << 20;
const HEADERS_BYTES_MAX: u32 = 16 << 10;
/// From here on, a request is read apart from the connections.
const LARGE_BYTES: usize = 32 << 10;

/// Takes connections until `stopping`, then finishes the requests under way.
pub(crate) async fn serve(
    listener: TcpListener,
    ingest: Ingest,
    tasks: TaskGroup,
    stopping: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(ingest.config.connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match (accepted, Arc::clone(&places).try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => connection(stream, place, &ingest, &tasks, &graceful),
            // Closed at once: a sender tries again later, as it does when nobody listens.
            (Ok((stream, peer)), Err(_)) => {
                tracing::debug!(%peer, "a sender is turned away: there are too many");
                drop(stream);
            }
            (Err(error), _) => {
                tracing::warn!(%error, "accept a sender's connection");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("senders' connections were cut at the drain deadline");
    }
}

fn connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    ingest: &Ingest,
    tasks: &TaskGroup,
    graceful: &GracefulShutdown,
) {
    // Without this, small answers may wait 40 ms for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let patience = ingest.config.request_timeout;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.max(PING * 4))
        .max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_header_list_size(HEADERS_BYTES_MAX);
    let ingest = ingest.clone();
    let service = hyper::service::service_fn(move |request| {
        let ingest = ingest.clone();
        async move { Ok::<_, Infallible>(answer(&ingest, request).await) }
    });
    let watched = graceful.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    tasks.spawn("telemetry sender", async move {
        if let Err(error) = watched.await {
            tracing::debug!(error, "a sender's connection ended");
        }
        drop(place);
    });
}

async fn answer(ingest: &Ingest, request: Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    if grpc::speaks(request.headers()) {
        grpc::answer(ingest, request).await.map(BodyExt::boxed_unsync)
    } else {
        http::answer(ingest, request).await.map(BodyExt::boxed_unsync)
    }
}

/// Reads a large request on a thread of its own, so that connections do not wait for it.
pub(super) async fn apart(
    bytes: usize,
    read: impl FnOnce() -> Result<Accepted, Refusal> + Send + 'static,
) -> Result<Accepted, Refusal> {
    if bytes < LARGE_BYTES {
        return read();
    }
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Refusal::Stopped))
}
