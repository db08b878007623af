//! One HTTP/2 connection to one member.

use super::frames::{Frames, GRPC_STATUS, judge};
use crate::config::Endpoint;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use onefold_core::TaskGroup;
use onefold_core::tls::Connector;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A member that hangs or is cut off is noticed so, where only a watch waits for it. etcd ends connections that ping
/// more often than each 5 s, or while nothing is asked.
const PING_EVERY: Duration = Duration::from_secs(6);
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// After the node's tasks were told to stop, how long nobody may have asked anything before the connection ends:
/// who stops gives back what they hold.
const LINGER: Duration = Duration::from_millis(300);

const REASON_PATIENCE: Duration = Duration::from_millis(20);

/// A connection to a member.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) endpoint: Endpoint,
    sender: SendRequest<Full<Bytes>>,
    asking: Arc<AtomicUsize>,
    /// Cancelled once nobody should ask here any more.
    retired: CancellationToken,
    /// Why the connection broke, where it has.
    broken: Arc<OnceLock<String>>,
    has_answered: AtomicBool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request was not sent.
    Unsent(String),
    /// It was sent, and the answer was lost.
    Lost(String),
    /// The member refused it.
    Refused(Refusal),
}

/// What gRPC says of a request that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Channel {
    /// Connects; how long that may take is the caller's to say.
    ///
    /// # Errors
    /// Why not, in words, with the address.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        trust: Option<&Connector>,
        tasks: &TaskGroup,
    ) -> Result<Self, String> {
        let address = (endpoint.host.trim_matches(['[', ']']), endpoint.port);
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{endpoint}: {error}"))?;
        // Without it a small request may wait for the answer to the one before.
        let _ = stream.set_nodelay(true);
        match trust {
            Some(trust) => {
                let shaken = trust.connect(&endpoint.host, stream).await;
                let stream = shaken.map_err(|refused| format!("{endpoint} {refused}"))?;
                Self::shake_hands(endpoint, TokioIo::new(stream), tasks).await
            }
            None => Self::shake_hands(endpoint, TokioIo::new(stream), tasks).await,
        }
    }

    async fn shake_hands<T>(endpoint: &Endpoint, io: T, tasks: &TaskGroup) -> Result<Self, String>
    where
        T: Read + Write + Send + Unpin + 'static,
    {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(io);
        let (sender, connection) = handshake.await.map_err(|error| format!("{endpoint}: {error}"))?;
        let channel = Self {
            endpoint: endpoint.clone(),
            sender,
            asking: Arc::new(AtomicUsize::new(0)),
            retired: CancellationToken::new(),
            broken: Arc::default(),
            has_answered: AtomicBool::new(false),
        };
        let (asking, retired, stopping) = (channel.asking.clone(), channel.retired.clone(), tasks.stopping());
        let broken = channel.broken.clone();
        tasks.spawn("coordination.etcd", async move {
            let unused = async {
                tokio::select! {
                    () = stopping.cancelled() => tokio::time::sleep(LINGER).await,
                    () = retired.cancelled() => {}
                }
                while asking.load(Ordering::Relaxed) > 0 {
                    tokio::time::sleep(LINGER).await;
                }
            };
            tokio::select! {
                // Its end is seen by whoever asks next.
                ended = connection => drop(ended.map_err(|error| broken.set(reason(&error)))),
                () = unused => {}
            }
            retired.cancel();
        });
        Ok(channel)
    }

    /// Takes it out of use: who still waits for an answer gets it.
    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.retired.is_cancelled() && !self.sender.is_closed()
    }

    /// Returns once nobody should ask here any more.
    pub(super) async fn retired(&self) {
        self.retired.cancelled().await;
    }

    /// Asks for one answer.
    pub(super) async fn ask(
        &self,
        path: &'static str,
        message: Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<Bytes, Failure> {
        let _asking = Asking::new(&self.asking);
        let response = self.send(path, message, token).await?;
        let (parts, body) = response.into_parts();
        let mut frames = Frames::of(body);
        let answer = frames.next().await?;
        if frames.trailers().is_none() && answer.is_some() {
            // The trailers come behind the one message.
            frames.next().await?;
        }
        judge(frames.trailers().unwrap_or(&parts.headers))?;
        answer.ok_or_else(|| Failure::Lost("an answer without a message".to_owned()))
    }

    /// Asks for answers until one of both ends it.
    pub(super) async fn stream(
        &self,
        path: &'static str,
        message: Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<Frames, Failure> {
        let (parts, body) = self.send(path, message, token).await?.into_parts();
        if parts.headers.contains_key(GRPC_STATUS) {
            judge(&parts.headers)?;
        }
        Ok(Frames::of(body))
    }

    /// Why a request has failed: what broke the connection, if that did.
    async fn why(&self, error: &hyper::Error) -> String {
        // A request hears of the break a moment before its reason is known.
        let _ = tokio::time::timeout(REASON_PATIENCE, self.retired()).await;
        let reason = self.broken.get().cloned().unwrap_or_else(|| reason(error));
        // With TLS 1.3 a server judges a certificate after the handshake, and may be gone before its word is read.
        if self.endpoint.is_encrypted && !self.has_answered.load(Ordering::Relaxed) {
            return format!(
                "it ends the connection ({reason}): where it wants to see a certificate, name one that its authority \
                 issued in coordination.certificate and coordination.key"
            );
        }
        reason
    }

    async fn send(
        &self,
        path: &'static str,
        message: Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::post(uri(&self.endpoint, path))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, concat!("onefold/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header("token", token);
        }
        let request = request.body(Full::new(message)).map_err(|error| Failure::Unsent(error.to_string()))?;
        let mut sender = self.sender.clone();
        if let Err(error) = sender.ready().await {
            return Err(Failure::Unsent(self.why(&error).await));
        }
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                let is_unsent = failed.take_message().is_some();
                let why = self.why(failed.error()).await;
                return Err(if is_unsent { Failure::Unsent(why) } else { Failure::Lost(why) });
            }
        };
        self.has_answered.store(true, Ordering::Relaxed);
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // Only a proxy or another protocol's server answers so.
        Err(Failure::Refused(Refusal {
            code: Refusal::UNIMPLEMENTED,
            message: format!("HTTP status {status}, where etcd's gRPC was expected"),
        }))
    }
}

/// What has gone wrong, with its causes.
fn reason(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    reason
}

fn uri(endpoint: &Endpoint, path: &'static str) -> Uri {
    let scheme = if endpoint.is_encrypted { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(endpoint.to_string()).path_and_query(path);
    // An endpoint is a host and a port: it always makes one.
    uri.build().unwrap_or_default()
}

/// Counts a question while it waits.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn new(asking: &'a AtomicUsize) -> Self {
        asking.fetch_add(1, Ordering::Relaxed);
        Self(asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
