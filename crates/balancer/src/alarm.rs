//! A timer that is cheap to move and to ask: deadlines of a connection mostly grow, so the timer stays where it is and
//! is moved on only when it fires too early; and it is only polled when it has fired, or would wake another task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;
use tokio::task::coop;
use tokio::time::Sleep;

/// One timer, used for one deadline after the other.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// Whom it wakes, where that is known.
    wakes: Option<Waker>,
}

/// A deadline has passed.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl Alarm {
    pub(crate) fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(at.into())), at, wakes: None }
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline < self.at {
            self.reset(deadline);
        }
        loop {
            ready!(self.poll_sleep(cx));
            if self.at >= deadline {
                return Poll::Ready(());
            }
            self.reset(deadline);
        }
    }

    /// Runs `work`, but not beyond `deadline`.
    pub(crate) async fn bound<F: Future>(
        &mut self,
        deadline: Instant,
        work: F,
    ) -> Result<F::Output, Elapsed> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_at(cx, deadline).map(|()| Err(Elapsed)),
        })
        .await
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let will_wake = self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if will_wake && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.wakes = None;
        // Without budget the timer is not asked, and does not learn whom to wake.
        let is_asked = coop::has_budget_remaining();
        let polled = self.sleep.as_mut().poll(cx);
        if polled.is_pending() && is_asked {
            self.wakes = Some(cx.waker().clone());
        }
        polled
    }

    fn reset(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at.into());
        self.at = at;
        self.wakes = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_deadline_however_it_moved() {
        // Only tokio's own clock stands still here.
        let now = || tokio::time::sleep(Duration::ZERO).deadline().into_std();
        let start = now();
        let mut alarm = Alarm::new(start + Duration::from_secs(30));
        for seconds in [1_u64, 5, 6] {
            let deadline = start + Duration::from_secs(seconds);
            assert!(alarm.bound(deadline, std::future::pending::<()>()).await.is_err());
            assert!(now() >= deadline);
            assert!(now() < deadline + Duration::from_secs(1));
        }
        assert!(alarm.bound(start + Duration::from_mins(1), std::future::ready(())).await.is_ok());
    }
}
