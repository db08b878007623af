//! The stream between a client's socket and the HTTP parser. It hands on only complete, checked heads.
//!
//! A refused head never reaches the parser: the parser gets a request of ours in its place, whose target names
//! the [`Refusal`], so that refusals are answered, counted and logged in order like any other request. Clients
//! cannot send such a request, for its method is one that [`head`] refuses. A body that turns bad is an error of
//! reading.
//!
//! Complete heads are checked in the parser's own buffer; only the beginning of a head that is not complete is
//! copied, and held back here.

mod write;

use super::Refusal;
use super::follow::{Follower, Verdict};
use super::head;
use super::patience::{Awaited, Patience, Stall};
use onefold_core::Clock;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};

/// The method of the request that stands in for a refused one.
pub(crate) const REFUSED_METHOD: &str = "!";

/// What bounds a client's stream.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) head: head::Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) body_idle_timeout: Duration,
    pub(crate) body_bytes_per_second_min: u64,
}

/// What the stream and the service of one connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// A request is being answered.
    pub(crate) is_busy: AtomicBool,
    /// A head has begun and not ended.
    pub(crate) is_mid_head: AtomicBool,
}

/// A client's stream, checked.
#[derive(Debug)]
pub(crate) struct Strict<S> {
    inner: S,
    limits: Arc<Limits>,
    clock: Clock,
    activity: Arc<Activity>,
    follower: Follower,
    patience: Patience,
    stall: Stall,
    /// The beginning of a head.
    held: Vec<u8>,
    ready: Ready,
    ending: Ending,
    has_begun: bool,
    lingered_bytes: usize,
}

/// Checked bytes that wait for the parser to take them.
#[derive(Debug, Default)]
struct Ready {
    bytes: Vec<u8>,
    taken: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The stream goes on.
    None,
    /// The parser has, or will get, the request that stands for a refused head; nothing more is read.
    Refused,
    /// The body went wrong: the next read fails.
    Broken(Refusal),
    /// Our side of the connection is shut.
    Shut,
}

const SCRATCH_BYTES: usize = 4096;

impl<S> Strict<S> {
    pub(crate) fn new(inner: S, limits: Arc<Limits>, clock: Clock, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            follower: Follower::new(limits.head),
            patience: Patience::new(limits.clone(), clock.clone()),
            stall: Stall::default(),
            limits,
            clock,
            activity,
            held: Vec::new(),
            ready: Ready::default(),
            ending: Ending::None,
            has_begun: false,
            lingered_bytes: 0,
        }
    }

    fn awaited(&self) -> Awaited {
        match (self.follower.is_in_body(), self.held.is_empty()) {
            (true, _) => Awaited::Body,
            (false, false) => Awaited::Head,
            (false, true) if self.has_begun => Awaited::Next,
            (false, true) => Awaited::First,
        }
    }

    /// Takes over what was read directly into the parser's buffer behind its first `before` bytes.
    fn settle_direct(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let read = &buf.filled()[before..];
        let verdict = self.follower.follow(read);
        let pass = verdict.passed();
        if matches!(verdict, Verdict::Pass(_)) {
            self.held.extend_from_slice(&read[pass..]);
        }
        buf.set_filled(before + pass);
        self.settle(verdict);
    }

    /// Takes over what was read behind the beginning of a head.
    fn settle_held(&mut self, read: &[u8]) {
        self.held.extend_from_slice(read);
        let verdict = self.follower.follow(&self.held);
        self.ready.bytes.extend(self.held.drain(..verdict.passed()));
        if verdict.passed() > 0 {
            self.patience.head_ended();
        }
        self.settle(verdict);
    }

    fn settle(&mut self, verdict: Verdict) {
        self.has_begun = true;
        match verdict {
            Verdict::Pass(_) => {}
            Verdict::Refuse(_, refusal) => self.refuse(refusal),
            Verdict::Break(_, refusal) => self.ending = Ending::Broken(refusal),
        }
        self.activity.is_mid_head.store(!self.held.is_empty(), Ordering::Relaxed);
    }

    /// Puts the request that stands for a refused one behind what is ready.
    fn refuse(&mut self, refusal: Refusal) {
        let code = refusal.code();
        let stand_in = format!("{REFUSED_METHOD} /{code} HTTP/1.1\r\nconnection: close\r\n\r\n");
        self.ready.bytes.extend_from_slice(stand_in.as_bytes());
        self.held = Vec::new();
        self.ending = Ending::Refused;
    }

    /// Waits for the client; when its time is up, does what is due. Nothing ready then means the stream's end.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let awaited = self.awaited();
        ready!(self.patience.poll(cx, awaited, self.activity.is_busy.load(Ordering::Relaxed)));
        match awaited {
            Awaited::First | Awaited::Next => {}
            Awaited::Head => self.refuse(Refusal::HeadTimeout),
            Awaited::Body => return Poll::Ready(Err(failure(io::ErrorKind::TimedOut, Refusal::BodyTimeout))),
        }
        Poll::Ready(Ok(()))
    }
}

impl Verdict {
    fn passed(self) -> usize {
        match self {
            Self::Pass(pass) | Self::Refuse(pass, _) | Self::Break(pass, _) => pass,
        }
    }
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.bytes[self.taken..];
        let taken = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..taken]);
        self.taken += taken;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                this.ready.take(buf);
                return Poll::Ready(Ok(()));
            }
            match this.ending {
                Ending::None => {}
                // The answer to the refusal ends the connection, not the end of reading.
                Ending::Refused => return Poll::Pending,
                Ending::Broken(refusal) => {
                    return Poll::Ready(Err(failure(io::ErrorKind::InvalidData, refusal)));
                }
                Ending::Shut => return Poll::Ready(Ok(())),
            }
            let before = buf.filled().len();
            let read = if this.held.is_empty() { this.poll_direct(cx, buf) } else { this.poll_held(cx) };
            if let Poll::Ready(read) = read {
                if read? == 0 || buf.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            ready!(this.poll_patience(cx))?;
            if this.ready.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Reads into the parser's buffer, and answers how much was read; what stays there may be handed on.
    fn poll_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read > 0 {
            self.patience.received(read, self.awaited());
            self.settle_direct(buf, before);
        }
        Poll::Ready(Ok(read))
    }

    /// Reads behind the beginning of a head, and answers how much was read.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [MaybeUninit::uninit(); SCRATCH_BYTES];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch))?;
        let read = scratch.filled().len();
        if read > 0 {
            self.patience.received(read, Awaited::Head);
            self.settle_held(scratch.filled());
        }
        Poll::Ready(Ok(read))
    }
}

fn failure(kind: io::ErrorKind, refusal: Refusal) -> io::Error {
    io::Error::new(kind, refusal)
}
