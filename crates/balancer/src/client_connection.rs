//! One client's connection: admitted, checked, served, and told when the balancer drains.

use crate::clients::Admission;
use crate::hygiene::strict::{Activity, Strict};
use crate::lane::Lane;
use crate::proxy::{self, Connection};
use crate::socket::Socket;
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use onefold_core::TraceContext;
use std::future::{Future as _, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// The parser's buffer: large bodies come in larger pieces than heads need.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Whether the thread drains. Once it does, it does not stop.
#[derive(Debug, Default)]
pub(crate) struct Draining {
    is_set: AtomicBool,
    begun: Arc<Notify>,
    /// Whether idle connections are closed too.
    lingers_no_more: AtomicBool,
    linger_ended: Arc<Notify>,
}

impl Draining {
    pub(crate) fn begin(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        self.begun.notify_waiters();
    }

    /// Closes what nobody has used since.
    pub(crate) fn end_linger(&self) {
        self.lingers_no_more.store(true, Ordering::Relaxed);
        self.linger_ended.notify_waiters();
    }

    /// Whether a connection is told of it: with its answer, or at the end of the linger.
    fn concerns(&self, activity: &Activity) -> bool {
        // A head that has begun is a request to be answered.
        self.is_set.load(Ordering::Relaxed)
            && !activity.is_mid_head.load(Ordering::Relaxed)
            && (activity.is_busy.load(Ordering::Relaxed) || self.lingers_no_more.load(Ordering::Relaxed))
    }
}

/// Serves a connection in a task of `tracker`.
#[expect(
    clippy::disallowed_methods,
    reason = "a connection is polled with each request, where a task group's bookkeeping would cost a twentieth; \
              the tracker joins it, draining stops it, and its runtime's end cancels it"
)]
pub(crate) fn start(
    lane: &Arc<Lane>,
    stream: TcpStream,
    peer: SocketAddr,
    tracker: &TaskTracker,
    draining: &Arc<Draining>,
) {
    let address = peer.ip().to_canonical();
    let Some(admission) = lane.shared.clients.admit(address) else {
        lane.shared.meters.connections_refused.inc();
        drop(tokio::spawn(tracker.track_future(turn_away(stream))));
        return;
    };
    let served = serve(connection(lane, address), stream, draining.clone(), admission);
    drop(tokio::spawn(tracker.track_future(served)));
}

fn connection(lane: &Arc<Lane>, peer: IpAddr) -> Connection {
    // Digits, letters, dots and colons are always legal.
    let forwarded_for =
        HeaderValue::try_from(peer.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    Connection {
        lane: lane.clone(),
        peer,
        is_trusted: lane.shared.clients.trusts(peer),
        forwarded_for,
        activity: Arc::new(Activity::default()),
        alarm: Mutex::default(),
    }
}

/// `_admission` is held until the connection is closed.
async fn serve(connection: Connection, stream: TcpStream, draining: Arc<Draining>, _admission: Admission) {
    let stream = match Socket::new(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "client left at once");
            return;
        }
    };
    let shared = &connection.lane.shared;
    let activity = connection.activity.clone();
    let limits = shared.stream_limits.clone();
    let stream = Strict::new(stream, limits, shared.clock.clone(), activity.clone());
    let mut builder = http1::Builder::new();
    // The stream keeps the time of heads.
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES_MAX.max(2 * shared.config.header_bytes_max));
    let connection = Arc::new(connection);
    let service = service_fn(move |request| proxy::answer(connection.clone(), request));
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut begun = pin!(draining.begun.clone().notified_owned());
    let mut linger_ended = pin!(draining.linger_ended.clone().notified_owned());
    let mut is_told = false;
    let mut is_listening = false;
    let mut may_tell = |cx: &mut Context<'_>| {
        if !is_listening {
            // Once is enough: the task's waker stays the same.
            let waits = [begun.as_mut().poll(cx).is_pending(), linger_ended.as_mut().poll(cx).is_pending()];
            is_listening = waits == [true, true];
        }
        draining.concerns(&activity)
    };
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = served.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if is_told || !may_tell(cx) {
                return Poll::Pending;
            }
            is_told = true;
            served.as_mut().graceful_shutdown();
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "client connection ended");
    }
}

/// Tells a client over the limit so, without a word read.
async fn turn_away(mut stream: TcpStream) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let body = format!(
        r#"{{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many connections","trace_id":"{}"}}"#,
        TraceContext::root(false).trace_id()
    );
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection before the client has read the answer.
        let mut scratch = [0; 1024];
        while stream.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that is gone needs no answer.
    drop(tokio::time::timeout(PATIENCE, told).await);
}
