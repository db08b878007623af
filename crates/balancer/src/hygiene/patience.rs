//! How long a client is waited for, and for what.
//!
//! The clock is read when the waiting begins, not with each byte, and the timer is moved only when it rings too
//! early: a request costs one reading and no timer.

use super::pace::Pace;
use super::strict::Limits;
use crate::alarm::Alarm;
use onefold_core::Clock;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// What the client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first byte on a new connection.
    First,
    /// The next request, or nothing at all.
    Next,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
}

/// The time of reading.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Arc<Limits>,
    clock: Clock,
    since: Option<Instant>,
    pace: Pace,
    alarm: Option<Alarm>,
}

impl Patience {
    pub(super) fn new(limits: Arc<Limits>, clock: Clock) -> Self {
        Self { limits, clock, since: None, pace: Pace::default(), alarm: None }
    }

    /// Ready once the client's time is up. While `is_busy`, the client waits for us, and its time does not run.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, awaited: Awaited, is_busy: bool) -> Poll<()> {
        loop {
            let since = *self.since.get_or_insert_with(|| self.clock.now());
            let deadline = since + self.allowance(awaited);
            ready!(self.alarm.get_or_insert_with(|| Alarm::new(deadline)).poll_at(cx, deadline));
            if !is_busy || matches!(awaited, Awaited::Head | Awaited::Body) {
                return Poll::Ready(());
            }
            self.since = None;
        }
    }

    /// Notes that bytes came while that was awaited.
    pub(super) fn received(&mut self, bytes: usize, awaited: Awaited) {
        match awaited {
            // A head has one time limit from its first byte on, however many bytes follow.
            Awaited::Head => {}
            Awaited::First | Awaited::Next => {
                self.since = None;
                self.pace = Pace::default();
            }
            Awaited::Body => {
                if let Some(since) = self.since.take() {
                    self.pace.waited += self.clock.now().saturating_duration_since(since);
                }
                self.pace.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
            }
        }
    }

    /// Notes that a head has ended, and its time with it.
    pub(super) fn head_ended(&mut self) {
        self.since = None;
        self.pace = Pace::default();
    }

    fn allowance(&self, awaited: Awaited) -> Duration {
        let limits = &self.limits;
        match awaited {
            Awaited::First | Awaited::Head => limits.head_timeout,
            Awaited::Next => limits.idle_timeout,
            Awaited::Body => self.pace.allowance(limits.body_bytes_per_second_min, limits.body_idle_timeout),
        }
    }
}

/// The time of writing: runs while the client takes nothing.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    alarm: Option<Alarm>,
}

impl Stall {
    /// Ready once nothing was taken for `timeout`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, clock: &Clock, timeout: Duration) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(|| clock.now()) + timeout;
        self.alarm.get_or_insert_with(|| Alarm::new(deadline)).poll_at(cx, deadline)
    }

    /// Notes that something was taken.
    pub(super) fn moved(&mut self) {
        self.since = None;
    }
}
