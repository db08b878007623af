//! The gate that requests pass: the desk's decisions, carried out among tasks.

use super::concurrency::Concurrency;
use super::desk::{Arrival, Desk, Reason};
use super::limit::{Limit, Sample};
use super::line::Ticket;
use super::meters::Meters;
use super::priority::Priority;
use axum::extract::MatchedPath;
use http::{Method, StatusCode};
use onefold_core::Clock;
use onefold_core::metrics::Metrics;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// One node's gate. It holds no request for longer than the line's patience, and loses no place: whoever is dropped, in
/// line or inside, frees it.
pub(crate) struct Gate {
    desk: Mutex<Desk<oneshot::Sender<Pass>>>,
    meters: Meters,
    clock: Clock,
}

/// A request that runs. Dropped, its place is free.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    began: Instant,
    left: Duration,
    in_flight: u32,
    /// What runs; where it is not said, or where its end says nothing of the node, it is no sample.
    serves: Option<(Method, Option<MatchedPath>)>,
    is_returned: bool,
}

/// A place in line, left when it is dropped.
struct InLine<'a> {
    gate: &'a Gate,
    ticket: Ticket,
}

impl Gate {
    pub(crate) fn new(concurrency: Concurrency, metrics: &Metrics, clock: Clock) -> Arc<Self> {
        let now = clock.now();
        let limit = match concurrency {
            Concurrency::Adaptive => Limit::adaptive(now),
            Concurrency::Fixed(limit) => Limit::Fixed(limit),
        };
        let meters = Meters::new(metrics);
        let gate = Arc::new(Self { desk: Mutex::new(Desk::new(limit, now)), meters, clock });
        let told = Arc::downgrade(&gate);
        metrics.before_snapshot(move || {
            if let Some(gate) = told.upgrade() {
                gate.tell();
            }
        });
        gate
    }

    /// Lets a request in that has `left` of its time, at once or when it is its turn.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) async fn enter(self: &Arc<Self>, priority: Priority, left: Duration) -> Result<Pass, Reason> {
        let now = self.clock.now();
        let mut turn = None;
        let arrival = self.desk().arrive(priority, left, now, || {
            let (caller, called) = oneshot::channel();
            turn = Some(called);
            caller
        });
        let entered = match (arrival, turn) {
            (Arrival::Runs(in_flight), _) => Ok(self.pass(in_flight, now)),
            (Arrival::Waits(ticket, patience), Some(turn)) => self.wait(ticket, patience, turn).await,
            (Arrival::Waits(..), None) => Err(Reason::Full),
            (Arrival::Refused(reason), _) => Err(reason),
        };
        match entered {
            Ok(mut pass) => {
                pass.left = left.saturating_sub(pass.began.saturating_duration_since(now));
                Ok(pass)
            }
            Err(reason) => {
                self.meters.refused(reason);
                Err(reason)
            }
        }
    }

    async fn wait(
        &self,
        ticket: Ticket,
        patience: Duration,
        turn: oneshot::Receiver<Pass>,
    ) -> Result<Pass, Reason> {
        let _in_line = InLine { gate: self, ticket };
        match tokio::time::timeout(patience, turn).await {
            Ok(Ok(pass)) => Ok(pass),
            // Somebody else took the place in line.
            Ok(Err(_)) => Err(Reason::Full),
            Err(_) => Err(Reason::Slow),
        }
    }

    fn pass(self: &Arc<Self>, in_flight: u32, began: Instant) -> Pass {
        Pass {
            gate: Arc::clone(self),
            began,
            left: Duration::ZERO,
            in_flight,
            serves: None,
            is_returned: false,
        }
    }

    fn depart(self: &Arc<Self>, pass: &Pass) {
        let now = self.clock.now();
        let sample = pass.serves.as_ref().map(|(method, route)| Sample {
            method,
            route: route.as_ref().map_or("", MatchedPath::as_str),
            took: now.saturating_duration_since(pass.began),
            left: pass.left,
            in_flight: pass.in_flight,
        });
        self.desk().depart(sample, now);
        loop {
            let Some((waiter, in_flight)) = self.desk().call(now) else { return };
            if let Err(mut pass) = waiter.send(self.pass(in_flight, now)) {
                // It has gone this moment.
                pass.is_returned = true;
                self.desk().depart(None, now);
            }
        }
    }

    fn tell(&self) {
        let (limit, in_flight, waiting) = {
            let desk = self.desk();
            (desk.limit(), desk.in_flight(), desk.waiting())
        };
        self.meters.limit.set(f64::from(limit));
        self.meters.in_flight.set(f64::from(in_flight));
        self.meters.waiting.set(u32::try_from(waiting).map_or(f64::MAX, f64::from));
    }

    fn desk(&self) -> MutexGuard<'_, Desk<oneshot::Sender<Pass>>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Pass {
    /// Says what runs. If it is dropped on its way, it took at least so long, and counts.
    pub(crate) fn serves(&mut self, method: Method, route: Option<MatchedPath>) {
        self.serves = Some((method, route));
    }

    /// It has ended with this answer. One that failed says nothing of how long the work takes, but one that was late does.
    pub(crate) fn end(mut self, status: StatusCode) {
        if status.is_server_error() && status != StatusCode::GATEWAY_TIMEOUT {
            self.serves = None;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_returned {
            let gate = Arc::clone(&self.gate);
            gate.depart(self);
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let now = self.gate.clock.now();
        // One that was called has left already.
        self.gate.desk().leave(self.ticket, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(30);

    fn gate(limit: u32) -> (Arc<Gate>, Metrics) {
        let metrics = Metrics::new();
        (Gate::new(Concurrency::Fixed(limit), &metrics, Clock::system()), metrics)
    }

    fn line(metrics: &Metrics, line: &str) -> bool {
        metrics.render().replace("{}", "").contains(line)
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_goes_to_whoever_waits() {
        let (gate, metrics) = gate(1);
        let first = gate.enter(Priority::Normal, PATIENT).await.unwrap();
        let (second, ()) = tokio::join!(gate.enter(Priority::Normal, PATIENT), async {
            tokio::task::yield_now().await;
            assert!(line(&metrics, "onefold_app_waiting 1"), "{}", metrics.render());
            first.end(StatusCode::OK);
        });
        assert!(line(&metrics, "onefold_app_in_flight 1"), "{}", metrics.render());
        drop(second.unwrap());
        assert!(line(&metrics, "onefold_app_in_flight 0"), "{}", metrics.render());
    }

    #[tokio::test]
    async fn one_that_gives_up_in_line_or_on_its_way_takes_no_place_with_it() {
        let (gate, metrics) = gate(1);
        let first = gate.enter(Priority::Normal, PATIENT).await.unwrap();
        {
            let mut waiting = std::pin::pin!(gate.enter(Priority::Normal, PATIENT));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            // Called, and dropped before it hears of it.
            drop(first);
        }
        assert!(line(&metrics, "onefold_app_in_flight 0") && line(&metrics, "onefold_app_waiting 0"));
        let held = gate.enter(Priority::Normal, PATIENT).await.unwrap();
        drop(Box::pin(gate.enter(Priority::Normal, PATIENT)));
        let hasty = gate.enter(Priority::Normal, Duration::from_millis(10)).await;
        assert_eq!(hasty.unwrap_err(), Reason::Slow);
        assert_eq!(gate.enter(Priority::Low, PATIENT).await.unwrap_err(), Reason::Low);
        drop(held);
        assert!(line(&metrics, "onefold_app_refused_total{reason=\"slow\"} 1"), "{}", metrics.render());
        assert!(gate.enter(Priority::Normal, PATIENT).await.is_ok());
    }
}
