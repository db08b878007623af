//! The body of a response on its way to the client. At its end the node's connection goes back to the pool; given
//! up before, the connection is closed, and the node notices.

use super::exchange::Exchange;
use crate::alarm::Alarm;
use crate::endpoint::node::InFlight;
use crate::pool::Lease;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A response's body, with the record of its request.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    source: Source,
    exchange: Exchange,
}

#[derive(Debug)]
enum Source {
    /// Made here; `None` once it was sent.
    Own(Option<Bytes>),
    Node(Relayed),
}

/// What comes from a node.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) incoming: Incoming,
    /// The connection it comes on, until the end.
    pub(super) lease: Option<Lease>,
    pub(super) in_flight: Option<InFlight>,
    /// When its head came: the connection counts as unused from then on, which spares a look at the clock.
    pub(super) at: Instant,
    /// When the exchange must have ended.
    pub(super) deadline: Instant,
    pub(super) pause: Pause,
}

/// The time that a body may pause: only watched while it does.
#[derive(Debug, Default)]
pub(super) struct Pause {
    since: Option<Instant>,
    alarm: Option<Alarm>,
}

/// Why a response ends before its end. The client sees its connection close.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("read the node's response")]
    Node(#[source] hyper::Error),
    #[error("the response did not end in time")]
    Late,
}

impl ResponseBody {
    /// A body made here.
    pub(super) fn own(bytes: Bytes, mut exchange: Exchange) -> Self {
        exchange.response_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        exchange.is_complete = true;
        Self { source: Source::Own(Some(bytes)), exchange }
    }

    /// A node's body.
    pub(super) fn relayed(relayed: Relayed, exchange: Exchange) -> Self {
        let mut body = Self { source: Source::Node(relayed), exchange };
        body.settle();
        body
    }

    /// Lets go of the connection once the body has ended.
    fn settle(&mut self) {
        let Source::Node(relayed) = &mut self.source else { return };
        if !relayed.incoming.is_end_stream() {
            return;
        }
        self.exchange.is_complete = true;
        relayed.in_flight = None;
        if let Some(lease) = relayed.lease.take() {
            lease.give_back(relayed.at);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let this = self.get_mut();
        let relayed = match &mut this.source {
            Source::Own(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Source::Node(relayed) => relayed,
        };
        loop {
            let polled = Pin::new(&mut relayed.incoming).poll_frame(cx);
            if polled.is_pending() {
                ready!(this.exchange.poll_pause(relayed, cx));
                this.exchange.fail_unless_late(relayed.deadline);
                return Poll::Ready(Some(Err(ResponseError::Late)));
            }
            relayed.pause.since = None;
            match ready!(polled) {
                Some(Ok(frame)) => {
                    // Trailers end here: a client that wants them says so in `TE`, which is for the next hop.
                    let Ok(data) = frame.into_data() else { continue };
                    if relayed.is_over(cx) {
                        return Poll::Ready(Some(Err(ResponseError::Late)));
                    }
                    this.exchange.response_bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
                    this.settle();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    this.exchange.fail();
                    return Poll::Ready(Some(Err(ResponseError::Node(error))));
                }
                None => {
                    this.settle();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Node(relayed) => relayed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| u64::try_from(b.len()).unwrap_or(u64::MAX)))
            }
            Source::Node(relayed) => relayed.incoming.size_hint(),
        }
    }
}

impl Relayed {
    /// Whether the exchange's time is over although there is more. Costs a response of one piece nothing.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline;
        !self.incoming.is_end_stream()
            && self.pause.alarm.get_or_insert_with(|| Alarm::new(deadline)).poll_at(cx, deadline).is_ready()
    }
}

impl Exchange {
    fn poll_pause(&self, relayed: &mut Relayed, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.connection.lane.shared;
        let since = *relayed.pause.since.get_or_insert_with(|| shared.clock.now());
        let deadline = (since + shared.config.response_idle_timeout).min(relayed.deadline);
        relayed.pause.alarm.get_or_insert_with(|| Alarm::new(deadline)).poll_at(cx, deadline)
    }

    /// Counts a pause as the node's failure, but not the end of the time that the exchange as a whole had.
    fn fail_unless_late(&self, deadline: Instant) {
        if self.connection.lane.shared.clock.now() < deadline {
            self.fail();
        }
    }

    /// Counts a response that its node did not bring to an end. Where the client's body broke, that broke the
    /// node's connection.
    fn fail(&self) {
        let is_clients_fault = self.source.as_ref().is_some_and(|source| source.fault().is_some());
        let Some(endpoint) = self.endpoint.as_ref().filter(|_| !is_clients_fault) else { return };
        let shared = &self.connection.lane.shared;
        let now = shared.clock.now();
        let elapsed = now.saturating_duration_since(self.started);
        self.within(|| shared.table.failed(endpoint, elapsed, now));
    }
}
