//! The body of a request on its way to a node: limited, counted, and kept for a retry while it is small.
//!
//! The client's body is read once, by whichever try is under way; what was read is kept up to a limit, and the
//! next try sends that first. What goes wrong with the client's body is noted here, so that it is never taken
//! for the node's fault.

use crate::hygiene::Refusal;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// The body that one try sends.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// The client's, from its first byte.
    Client {
        /// Where it comes from.
        source: Arc<Source>,
        /// The next kept piece to send.
        next: usize,
        /// Which try this is: an older one gets nothing any more.
        attempt: u32,
    },
}

/// A client's body, shared by the tries of its request.
#[derive(Debug)]
pub(crate) struct Source {
    state: Mutex<State>,
    hint: SizeHint,
    bytes_max: u64,
    bytes: AtomicU64,
    fault: AtomicU8,
    /// The last that was heard of the body: that more of it is waited for.
    is_awaited: AtomicBool,
}

#[derive(Debug)]
struct State {
    incoming: Incoming,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    kept_bytes_max: usize,
    /// Something that was sent is not kept: the body cannot be sent again.
    has_gap: bool,
    attempt: u32,
}

/// The body was given up; the client's fault or a newer try's turn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("{0}")]
    Client(Refusal),
    #[error("superseded by a retry")]
    Superseded,
}

const NO_FAULT: u8 = u8::MAX;

impl Source {
    /// The body of a request; `None` where it has none. Up to `kept_bytes_max` of it are kept.
    pub(super) fn of(incoming: Incoming, bytes_max: u64, kept_bytes_max: usize) -> Option<Arc<Self>> {
        if incoming.is_end_stream() {
            return None;
        }
        let hint = incoming.size_hint();
        let state =
            State { incoming, kept: Vec::new(), kept_bytes: 0, kept_bytes_max, has_gap: false, attempt: 0 };
        let fault = AtomicU8::new(NO_FAULT);
        Some(Arc::new(Self {
            state: Mutex::new(state),
            hint,
            bytes_max,
            bytes: AtomicU64::new(0),
            fault,
            is_awaited: AtomicBool::new(false),
        }))
    }

    /// The body for one more try.
    pub(super) fn body(self: &Arc<Self>) -> RequestBody {
        let mut state = self.state();
        state.attempt += 1;
        RequestBody::Client { source: self.clone(), next: 0, attempt: state.attempt }
    }

    /// Whether all that was sent can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        !self.state().has_gap
    }

    /// What was wrong with the client's body.
    pub(super) fn fault(&self) -> Option<Refusal> {
        Refusal::of_code(self.fault.load(Ordering::Relaxed))
    }

    /// Whether it is the client that everybody waits for.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// The bytes that the client has sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn poll(
        &self,
        cx: &mut Context<'_>,
        next: &mut usize,
        attempt: u32,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut state = self.state();
        if state.attempt != attempt {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(kept) = state.kept.get(*next) {
            *next += 1;
            return Poll::Ready(Some(Ok(kept.clone())));
        }
        loop {
            let polled = Pin::new(&mut state.incoming).poll_frame(cx);
            self.is_awaited.store(polled.is_pending(), Ordering::Relaxed);
            let Some(frame) = ready!(polled) else { return Poll::Ready(None) };
            let frame = frame.map_err(|error| self.blame(Refusal::within(&error)))?;
            // Trailers end here (RFC 9110, 6.5.1 allows it): they could carry what the head may not.
            let Ok(data) = frame.into_data() else { continue };
            self.count(&data)?;
            if state.keep(&data) {
                *next += 1;
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }

    fn count(&self, data: &Bytes) -> Result<(), BodyError> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > self.bytes_max {
            return Err(self.blame(Some(Refusal::BodyTooLarge)));
        }
        Ok(())
    }

    fn blame(&self, refusal: Option<Refusal>) -> BodyError {
        // What the parser found by itself is a connection that ended too early.
        let refusal = refusal.unwrap_or(Refusal::BodyAborted);
        self.fault.store(refusal.code(), Ordering::Relaxed);
        BodyError::Client(refusal)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps a piece for a retry, if there is room; answers whether it did.
    fn keep(&mut self, data: &Bytes) -> bool {
        if self.has_gap || self.kept_bytes + data.len() > self.kept_bytes_max {
            self.has_gap = true;
            self.kept = Vec::new();
            return false;
        }
        self.kept_bytes += data.len();
        self.kept.push(data.clone());
        true
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client { source, next, attempt } => {
                source.poll(cx, next, *attempt).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client { source, .. } => source.hint,
        }
    }
}
