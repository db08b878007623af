//! One try of a request at one endpoint: get a connection, send, wait for the head of the response.

use super::exchange::Exchange;
use super::relay::Limit;
use super::request_body::Source;
use super::retry::{self, Reason};
use super::{RequestBody, headers};
use crate::endpoint::Endpoint;
use crate::endpoint::node::InFlight;
use crate::hygiene::Refusal;
use crate::lane::Shared;
use crate::pool::{Checkout, Grant, Lease, Pool, Sender, Slot};
use crate::socket::Socket;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use onefold_core::deadline::DurationText;
use onefold_core::{Clock, TraceContext};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::Span;

/// The largest response head and read buffer of a node's connection.
const RESPONSE_BUFFER_BYTES_MAX: usize = 64 << 10;

/// The body of a refusal that is read to its end.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// What a node's answer needs at most to get here, as far as a node's time is concerned.
const WAY_BACK: Duration = Duration::from_millis(5);

/// A request that has waited less for its connection has all of its time, where that is ours.
const FRESH: Duration = Duration::from_millis(100);

/// A request as nodes get it.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) target: Uri,
    /// The client's lines that go on.
    pub(super) headers: HeaderMap,
    pub(super) source: Option<Arc<Source>>,
    pub(super) is_idempotent: bool,
    pub(super) limit: Limit,
}

/// A node's answer, with what must live until its body has ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) lease: Lease,
    pub(super) in_flight: InFlight,
    /// When its head came.
    pub(super) at: Instant,
    /// When its body must have ended.
    pub(super) deadline: Instant,
}

/// Why a try brought no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The endpoint's line is full.
    Full,
    /// Its turn did not come in time.
    Late,
    /// The client's body was at fault.
    Client(Refusal),
    /// The connection, for that reason.
    Endpoint(Reason),
}

/// A try under way. Given up by its client, it still tells how long the node took at least.
struct Attempt<'a> {
    exchange: &'a Exchange,
    endpoint: &'a Arc<Endpoint>,
    started: Instant,
    is_settled: bool,
}

/// Tries once.
pub(super) async fn run(
    exchange: &Exchange,
    endpoint: &Arc<Endpoint>,
    outgoing: &mut Outgoing,
    span: &Span,
) -> Result<Answer, Failure> {
    let in_flight = endpoint.enter();
    let (mut lease, started) = acquire(exchange, endpoint).await?;
    let mut attempt = Attempt { exchange, endpoint, started, is_settled: false };
    let sending = lease.sender.try_send_request(outgoing.request(exchange, span, started));
    let sent = if outgoing.may_move() {
        tokio::select! {
            biased;
            sent = sending => sent,
            () = endpoint.fallen_silent() => {
                attempt.is_settled = true;
                return Err(attempt.failed(Reason::Silent));
            }
        }
    } else {
        sending.await
    };
    attempt.is_settled = true;
    match sent {
        Ok(response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
            let at = attempt.answered(&response, outgoing.limit.is_client_deadline);
            Ok(Answer { response, lease, in_flight, at, deadline: outgoing.limit.end })
        }
        // Nobody asked to switch.
        Ok(_) => Err(attempt.failed(Reason::Reset)),
        Err(mut error) => {
            if let Some(refusal) = outgoing.source.as_ref().and_then(|source| source.fault()) {
                return Err(Failure::Client(refusal));
            }
            if error.take_message().is_none() {
                return Err(attempt.failed(Reason::Reset));
            }
            Err(Failure::Endpoint(Reason::Unsent))
        }
    }
}

/// Tells the span of a try what came of it.
pub(super) fn tell(outcome: &Result<Answer, Failure>, span: &Span) {
    if span.is_disabled() {
        return;
    }
    match outcome {
        Ok(answer) => span.record("http.response.status_code", answer.response.status().as_u16()),
        Err(failure) => span.record("error.type", failure.as_str()),
    };
}

impl Failure {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Full => "the endpoint's line is full",
            Self::Late => "the endpoint's line is slow",
            Self::Client(_) => "the client's body",
            Self::Endpoint(reason) => reason.as_str(),
        }
    }
}

impl Outgoing {
    /// Whether its body, if it has one, can be sent once more, from the first byte.
    pub(super) fn is_replayable(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.is_replayable())
    }

    /// Whether it may be left to another node while one has it in hand.
    fn may_move(&self) -> bool {
        self.is_idempotent && self.is_replayable()
    }

    /// The request for one try. The client's lines are kept: whatever the method, a full node leaves it to another.
    fn request(&self, exchange: &Exchange, span: &Span, started: Instant) -> Request<RequestBody> {
        let mut headers = self.headers.clone();
        let body = self.source.as_ref().map_or(RequestBody::Empty, Source::body);
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_11;
        headers::dress_request(&mut headers, &request.body().size_hint(), &exchange.connection);
        exchange.identity.write(&mut headers);
        if !span.is_disabled() {
            exchange.identity.write_call(span.in_scope(TraceContext::current), &mut headers);
        }
        headers.insert(&headers::TIMEOUT_NAME, self.time_left(exchange, started));
        *request.headers_mut() = headers;
        request
    }

    /// How much time the node has, of a try that began at `started`: what is left, less what its answer needs to get here.
    /// So a late request ends by the node's word, and its connection serves the next; given up by us it would be lost.
    fn time_left(&self, exchange: &Exchange, started: Instant) -> HeaderValue {
        let shared = &exchange.connection.lane.shared;
        let waited = started.saturating_duration_since(exchange.started);
        let is_fresh = exchange.attempts <= 1 && !self.limit.is_asked && waited < FRESH;
        let left = (!is_fresh).then(|| self.limit.head.saturating_duration_since(started));
        let left = left.map(|left| left.saturating_sub((left / 10).min(WAY_BACK)));
        let value = left.and_then(|left| HeaderValue::try_from(DurationText(left).to_string()).ok());
        value.unwrap_or_else(|| shared.request_timeout.clone())
    }
}

impl Answer {
    /// Gives the connection back for the sake of another try: a refusal is short, and has mostly come with its head.
    pub(super) async fn discard(self, clock: &Clock) {
        let body = http_body_util::Limited::new(self.response.into_body(), REFUSAL_BYTES_MAX);
        let read = tokio::time::timeout(WAY_BACK, body.collect()).await;
        if matches!(read, Ok(Ok(_))) {
            self.lease.give_back(clock.now());
        }
    }
}

impl Attempt<'_> {
    fn answered(&self, response: &Response<Incoming>, is_client_deadline: bool) -> Instant {
        let Shared { table, clock, .. } = &*self.exchange.connection.lane.shared;
        let now = clock.now();
        let latency = now.saturating_duration_since(self.started);
        self.exchange.took(self.endpoint, latency);
        if retry::is_draining(response.status(), response.headers()) {
            self.exchange.within(|| table.leaving(self.endpoint, now));
        } else if retry::is_refused(response.status(), response.headers()) {
            self.exchange.within(|| table.refused(self.endpoint, now));
        } else if retry::is_failure(response.status(), is_client_deadline) {
            self.exchange.within(|| table.failed(self.endpoint, latency, now));
        } else {
            if response.status().is_server_error() {
                self.endpoint.meters.errors.inc();
            }
            if self.endpoint.is_troubled() {
                self.exchange.within(|| table.succeeded(self.endpoint, latency, now));
            } else {
                table.succeeded(self.endpoint, latency, now);
            }
        }
        if retry::closes(response.headers()) {
            table.doubt();
        }
        now
    }

    fn failed(&self, reason: Reason) -> Failure {
        let Shared { table, clock, .. } = &*self.exchange.connection.lane.shared;
        let now = clock.now();
        let elapsed = now.saturating_duration_since(self.started);
        self.exchange.took(self.endpoint, elapsed);
        self.exchange.within(|| table.failed(self.endpoint, elapsed, now));
        table.doubt();
        Failure::Endpoint(reason)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let now = self.exchange.connection.lane.shared.clock.now();
            self.endpoint.abandoned(now.saturating_duration_since(self.started), now);
        }
    }
}

/// Gets a connection, and the moment at which it was there.
async fn acquire(exchange: &Exchange, endpoint: &Arc<Endpoint>) -> Result<(Lease, Instant), Failure> {
    let lane = &*exchange.connection.lane;
    let now = lane.shared.clock.now();
    // The rare paths are boxed: the future of every request would be larger by theirs.
    let lease = match Pool::checkout(endpoint, lane.thread, now) {
        Checkout::Connection(lease) => return Ok((lease, now)),
        Checkout::Room(slot) => Box::pin(connect(exchange, endpoint, slot)).await?,
        Checkout::Wait(waiting) => Box::pin(wait(exchange, endpoint, waiting)).await?,
        Checkout::Full => return Err(Failure::Full),
    };
    Ok((lease, lane.shared.clock.now()))
}

async fn wait(
    exchange: &Exchange,
    endpoint: &Arc<Endpoint>,
    waiting: oneshot::Receiver<Grant>,
) -> Result<Lease, Failure> {
    match tokio::time::timeout(exchange.connection.lane.shared.config.queue_timeout, waiting).await {
        Ok(Ok(Grant::Connection(lease))) => Ok(lease),
        Ok(Ok(Grant::Room(slot))) => connect(exchange, endpoint, slot).await,
        Ok(Err(_)) | Err(_) => Err(Failure::Late),
    }
}

async fn connect(exchange: &Exchange, endpoint: &Arc<Endpoint>, slot: Slot) -> Result<Lease, Failure> {
    let shared = &exchange.connection.lane.shared;
    let started = shared.clock.now();
    let connected = tokio::time::timeout(shared.config.connect_timeout, open(endpoint)).await;
    if let Ok(Ok(sender)) = connected {
        return Ok(slot.filled(sender));
    }
    let now = shared.clock.now();
    exchange.took(endpoint, now.saturating_duration_since(started));
    exchange.within(|| shared.table.failed(endpoint, Duration::ZERO, now));
    shared.table.doubt();
    Err(Failure::Endpoint(Reason::Connect))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection is polled with each request, where a task group's bookkeeping would cost a twentieth; \
              it ends with its sender, which the pool owns, or with its runtime"
)]
async fn open(endpoint: &Endpoint) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
    let stream = Socket::new(TcpStream::connect(endpoint.address).await?)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(RESPONSE_BUFFER_BYTES_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // Driven by the request that uses it, without a task of its own, a connection costs the same (measured).
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "endpoint connection ended");
        }
    });
    drop(driver);
    Ok(sender)
}
