//! Unary calls of OTLP over gRPC: one HTTP/2 connection, made when it is needed and again when it broke.

use super::destination::Destination;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use onefold_core::TaskGroup;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How long one call may take, with the connection before it.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer says in a few bytes how many were rejected.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The services that take the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It may be taken later.
    #[error("{0}")]
    Later(String),
    /// It never will be.
    #[error("refused with gRPC status {status}: {message}")]
    Never { status: u32, message: String },
}

/// What a service answers where it did not take everything.
#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// A way to one collector for one signal.
#[derive(Debug)]
pub(super) struct Client {
    destination: Arc<Destination>,
    uri: Uri,
    connection: Option<SendRequest<Full<Bytes>>>,
    tasks: TaskGroup,
}

impl Signal {
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// What the task is called that sends it.
    pub(super) fn task(self) -> &'static str {
        match self {
            Self::Traces => "telemetry-traces",
            Self::Logs => "telemetry-logs",
            Self::Metrics => "telemetry-metrics",
        }
    }

    /// What metrics call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}

impl Client {
    pub(super) fn new(
        destination: Arc<Destination>,
        signal: Signal,
        tasks: TaskGroup,
    ) -> Result<Self, http::Error> {
        let uri = Uri::builder()
            .scheme(destination.scheme())
            .authority(destination.authority.as_str())
            .path_and_query(signal.path())
            .build()?;
        Ok(Self { destination, uri, connection: None, tasks })
    }

    /// Has a message taken; answers how many of its items the collector rejected.
    ///
    /// # Errors
    /// [`Refusal`], by what to do with the message.
    pub(super) async fn export(&mut self, message: Bytes) -> Result<u64, Refusal> {
        let called = tokio::time::timeout(PATIENCE, self.call(message)).await;
        let answer = called.unwrap_or_else(|_| Err(Refusal::Later(format!("no answer within {PATIENCE:?}"))));
        if let Err(Refusal::Later(_)) = answer {
            self.connection = None;
        }
        answer
    }

    async fn call(&mut self, message: Bytes) -> Result<u64, Refusal> {
        let mut request = Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, concat!("onefold/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(framed(&message)))
            .map_err(later)?;
        request.headers_mut().extend(self.destination.headers.clone());
        let connection = self.connect().await?;
        connection.ready().await.map_err(later)?;
        let response = connection.send_request(request).await.map_err(later)?;
        let status = response.status();
        if !status.is_success() {
            // Only a proxy or another protocol's server answers so.
            return Err(Refusal::Later(format!("HTTP status {status}, where gRPC was expected")));
        }
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(later)?;
        let trailers = body.trailers().cloned().unwrap_or(parts.headers);
        judge(&trailers)?;
        Ok(rejected(&body.to_bytes()))
    }

    async fn connect(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Refusal> {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            // In a box: handshakes are rare, and their state would weigh on every call.
            self.connection = Some(Box::pin(self.dial()).await?);
        }
        self.connection.as_mut().ok_or_else(|| Refusal::Later("not connected".to_owned()))
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>, Refusal> {
        let Destination { authority, trust, .. } = &*self.destination;
        let stream = TcpStream::connect(authority).await.map_err(later)?;
        let _ = stream.set_nodelay(true);
        let Some(trust) = trust else { return self.open(stream).await };
        let inside = trust.connect(self.destination.host(), stream).await;
        self.open(inside.map_err(|refused| Refusal::Later(format!("https://{authority} {refused}")))?).await
    }

    async fn open<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(later)?;
        let stopping = self.tasks.stopping();
        self.tasks.spawn("telemetry-connection", async move {
            // Its end is seen by whoever sends next.
            let _ = stopping.run_until_cancelled(connection).await;
        });
        Ok(sender)
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    // Batches are far below 4 GiB.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    framed.freeze()
}

fn judge(trailers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let Some(status) = text("grpc-status").and_then(|status| status.parse::<u32>().ok()) else {
        return Err(Refusal::Later("an answer without gRPC status".to_owned()));
    };
    let message = text("grpc-message").unwrap_or_default().to_owned();
    match status {
        0 => Ok(()),
        // What OTLP's specification calls retryable: cancelled, deadline, exhausted, aborted, out of range,
        // unavailable, data loss.
        1 | 4 | 8 | 10 | 11 | 14 | 15 => Err(Refusal::Later(format!("gRPC status {status}: {message}"))),
        _ => Err(Refusal::Never { status, message }),
    }
}

fn rejected(body: &Bytes) -> u64 {
    let answer = body.get(5..).and_then(|message| Answer::decode(message).ok()).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected).unwrap_or(0))
}

fn later(error: impl std::fmt::Display) -> Refusal {
    Refusal::Later(error.to_string())
}
