//! The stream between a client's socket and the HTTP parser. It hands on only complete, checked heads.
//!
//! It follows each message to its end and so knows where the next head starts. A refused head never reaches the
//! parser: the parser gets a request of ours in its place, whose target names the [`Refusal`], so that refusals
//! are answered, counted and logged in order like any other request. Clients cannot send such a request, for its
//! method is one that [`head`](super::head) refuses. A body that turns bad is an error of reading.
//!
//! It also keeps the time of reading and writing, since it alone knows what is being waited for.

use super::Refusal;
use super::chunks::{Chunks, Followed};
use super::head::{self, Body, Head};
use super::pace::Pace;
use crate::alarm::Alarm;
use onefold_core::Clock;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
    phase: Phase,
    /// Bytes of a head which is not complete.
    held: Vec<u8>,
    /// Checked bytes that wait for the parser to take them, and how many it took.
    ready: Vec<u8>,
    ready_taken: usize,
    ending: Ending,
    served: bool,
    waiting_since: Option<Instant>,
    pace: Pace,
    read_alarm: Option<Alarm>,
    write_alarm: Option<Alarm>,
    stalled_since: Option<Instant>,
    lingered_bytes: usize,
}

#[derive(Debug)]
enum Phase {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
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

/// How much of what was read may be handed on.
struct Examined {
    pass: usize,
    refusal: Option<Refusal>,
}

/// What is read and thrown away after a refusal, so that the client reads the answer before a reset.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);
const SCRATCH_BYTES: usize = 4096;

impl<S> Strict<S> {
    pub(crate) fn new(inner: S, limits: Arc<Limits>, clock: Clock, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            limits,
            clock,
            activity,
            phase: Phase::Head(Head::default()),
            held: Vec::new(),
            ready: Vec::new(),
            ready_taken: 0,
            ending: Ending::None,
            served: false,
            waiting_since: None,
            pace: Pace::default(),
            read_alarm: None,
            write_alarm: None,
            stalled_since: None,
            lingered_bytes: 0,
        }
    }

    /// Follows `bytes` from message to message.
    fn examine(&mut self, bytes: &[u8]) -> Examined {
        let mut at = 0;
        let mut message_start = None;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.phase {
                Phase::Head(head) => match head.advance(rest, self.limits.head) {
                    Ok(head::Read::End(length, body)) => {
                        message_start = Some(at);
                        at += length;
                        self.served = true;
                        self.pace = Pace::default();
                        self.phase = Phase::after(body);
                    }
                    Ok(head::Read::More) => return Examined { pass: at, refusal: None },
                    Err(refusal) => return Examined { pass: at, refusal: Some(refusal) },
                },
                Phase::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= as_u64(taken);
                    at += taken;
                    if *left == 0 {
                        self.phase = Phase::default();
                    }
                }
                Phase::Chunked(chunks) => match chunks.advance(rest) {
                    Ok(Followed::More) => at = bytes.len(),
                    Ok(Followed::End(length)) => {
                        at += length;
                        self.phase = Phase::default();
                    }
                    Err(refusal) => {
                        // With its head still in our hands, nothing of this request goes anywhere.
                        let Some(start) = message_start else {
                            self.ending = Ending::Broken(refusal);
                            return Examined { pass: at, refusal: None };
                        };
                        return Examined { pass: start, refusal: Some(refusal) };
                    }
                },
            }
        }
        Examined { pass: at, refusal: None }
    }

    /// Puts the request that stands for a refused one behind what is ready.
    fn refuse(&mut self, refusal: Refusal) {
        let code = refusal.code();
        let stand_in = format!("{REFUSED_METHOD} /{code} HTTP/1.1\r\nconnection: close\r\n\r\n");
        self.ready.extend_from_slice(stand_in.as_bytes());
        self.held = Vec::new();
        self.ending = Ending::Refused;
    }

    fn take_ready(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.ready[self.ready_taken..];
        let taken = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..taken]);
        self.ready_taken += taken;
        if self.ready_taken == self.ready.len() {
            self.ready.clear();
            self.ready_taken = 0;
        }
    }

    /// Takes over what was read directly into the parser's buffer behind its first `before` bytes.
    fn settle_direct(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let read = &buf.filled()[before..];
        self.pace.bytes += as_u64(read.len());
        let Examined { pass, refusal } = self.examine(read);
        if refusal.is_none() && self.ending == Ending::None {
            self.held.extend_from_slice(&read[pass..]);
        }
        buf.set_filled(before + pass);
        self.settle(refusal);
    }

    /// Takes over what was read behind a head that is held.
    fn settle_held(&mut self, read: &[u8]) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(read);
        let Examined { pass, refusal } = self.examine(&held);
        self.ready.extend_from_slice(&held[..pass]);
        if refusal.is_none() && self.ending == Ending::None {
            held.drain(..pass);
            self.held = held;
        }
        self.settle(refusal);
    }

    fn settle(&mut self, refusal: Option<Refusal>) {
        if let Some(refusal) = refusal {
            self.refuse(refusal);
        }
        self.activity.is_mid_head.store(!self.held.is_empty(), Ordering::Relaxed);
    }

    /// Waits for the client on its clock; ready when its time is up.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let since = *self.waiting_since.get_or_insert_with(|| self.clock.now());
        let limits = &self.limits;
        let patience = match &self.phase {
            Phase::Head(_) if self.held.is_empty() && self.served => limits.idle_timeout,
            Phase::Head(_) => limits.head_timeout,
            _ => self.pace.allowance(limits.body_bytes_per_second_min, limits.body_idle_timeout),
        };
        let deadline = since + patience;
        let alarm = self.read_alarm.get_or_insert_with(|| Alarm::new(deadline));
        ready!(alarm.poll_at(cx, deadline));
        match &self.phase {
            Phase::Head(_) if self.activity.is_busy.load(Ordering::Relaxed) && self.held.is_empty() => {
                // Nobody waits for the client while it waits for us.
                self.waiting_since = None;
                self.poll_patience(cx)
            }
            // Nothing is under way: the parser sees the end of the stream and closes.
            Phase::Head(_) if self.held.is_empty() => Poll::Ready(Ok(())),
            Phase::Head(_) => {
                self.refuse(Refusal::HeadTimeout);
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Refusal::BodyTimeout))),
        }
    }

    /// Notes that the client has sent something.
    fn progressed(&mut self) {
        if let Some(since) = self.waiting_since
            && !matches!(self.phase, Phase::Head(_))
        {
            self.pace.waited += self.clock.now().saturating_duration_since(since);
        }
        // A head has one time limit from its first byte on, however many bytes follow.
        if self.held.is_empty() {
            self.waiting_since = None;
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let since = *self.stalled_since.get_or_insert_with(|| self.clock.now());
        let deadline = since + self.limits.write_timeout;
        let alarm = self.write_alarm.get_or_insert_with(|| Alarm::new(deadline));
        alarm.poll_at(cx, deadline).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(&mut self, result: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if result.is_pending() {
            return self.poll_stalled(cx);
        }
        self.stalled_since = None;
        result
    }
}

impl Phase {
    fn after(body: Body) -> Self {
        match body {
            Body::None => Self::default(),
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Chunks::default()),
        }
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                this.take_ready(buf);
                return Poll::Ready(Ok(()));
            }
            match this.ending {
                Ending::None => {}
                // The answer to the refusal ends the connection, not the end of reading.
                Ending::Refused => return Poll::Pending,
                Ending::Broken(refusal) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal)));
                }
                Ending::Shut => return Poll::Ready(Ok(())),
            }
            let before = buf.filled().len();
            let read = if this.held.is_empty() {
                Pin::new(&mut this.inner).poll_read(cx, buf).map_ok(|()| buf.filled().len() - before)
            } else {
                this.poll_read_held(cx)
            };
            match read {
                Poll::Pending => {
                    ready!(this.poll_patience(cx))?;
                    if this.ready.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) if buf.filled().len() > before => {
                    this.progressed();
                    this.settle_direct(buf, before);
                    if buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Ok(_)) => {}
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    fn poll_read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [std::mem::MaybeUninit::uninit(); SCRATCH_BYTES];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch))?;
        let read = scratch.filled().len();
        if read > 0 {
            self.settle_held(scratch.filled());
            self.progressed();
        }
        Poll::Ready(Ok(read))
    }

    /// Reads what the client still sends, for a while: closing with unread bytes would reset the connection and
    /// may take the answer from the client.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.stalled_since.get_or_insert_with(|| self.clock.now());
        let mut scratch = [std::mem::MaybeUninit::uninit(); SCRATCH_BYTES];
        while self.lingered_bytes < LINGER_BYTES_MAX {
            let mut scratch = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(())) if !scratch.filled().is_empty() => {
                    self.lingered_bytes += scratch.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let deadline = since + LINGER;
                    return self
                        .write_alarm
                        .get_or_insert_with(|| Alarm::new(deadline))
                        .poll_at(cx, deadline);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.wrote(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.wrote(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ending != Ending::Shut {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            let is_clean = this.ending == Ending::None && matches!(this.phase, Phase::Head(_));
            this.ending = Ending::Shut;
            if is_clean {
                return Poll::Ready(Ok(()));
            }
            this.stalled_since = None;
        }
        this.poll_linger(cx).map(Ok)
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
