//! Keeps a slow or dead shared level from making anybody wait: a timeout for every call, and a breaker, unless the engine
//! has one for each of its parts.
//!
//! After [`FAILURES_MAX`] failures in a row nobody asks for [`OPEN_FOR`]; then one call tries, and its outcome
//! decides.

use crate::decision::LeaseId;
use crate::key::CacheKey;
use crate::l2::limit::{Came, limited};
use crate::l2::{Capabilities, Error, Fill, Got, Hints, L2, Want};
use crate::telemetry::Telemetry;
use onefold_core::{Clock, Lsn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FAILURES_MAX: u32 = 5;
const OPEN_FOR: Duration = Duration::from_secs(1);

/// A shared level that answers quickly, or not at all.
#[derive(Debug)]
pub(crate) struct Guarded {
    engine: Arc<dyn L2>,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    clock: Clock,
    telemetry: Arc<Telemetry>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Guarded {
    pub(crate) fn new(
        engine: Arc<dyn L2>,
        timeout: Duration,
        clock: Clock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self { engine, timeout, breaker: Mutex::default(), clock, telemetry }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    pub(crate) fn hints(&self) -> Option<&dyn Hints> {
        self.engine.hints()
    }

    pub(crate) async fn get(&self, key: &CacheKey, want: Want) -> Result<Got, Error> {
        self.call(self.engine.get(key, want)).await
    }

    pub(crate) async fn fill(&self, key: &CacheKey, lease: LeaseId, fill: Fill<'_>) -> Result<bool, Error> {
        self.call(self.engine.fill(key, lease, fill)).await
    }

    pub(crate) async fn release(&self, key: &CacheKey, lease: LeaseId) -> Result<(), Error> {
        self.call(self.engine.release(key, lease)).await
    }

    /// Answers with the keys of which it could not.
    pub(crate) async fn invalidate(&self, keys: &[CacheKey], at: Lsn) -> Result<Vec<CacheKey>, Error> {
        let outcome = self.call(self.engine.invalidate(keys, at)).await;
        if outcome.as_ref().is_ok_and(|missed| !missed.is_empty()) {
            self.telemetry.l2_failures.inc();
            self.tell_share();
        }
        outcome
    }

    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let outcome = self.call(self.engine.sweep()).await;
        self.tell_share();
        outcome
    }

    async fn call<T>(&self, operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let in_parts = self.engine.capabilities().fails_in_parts;
        if !in_parts && !self.breaker().admits(self.clock.now()) {
            return Err(Error::Open);
        }
        let came = limited(self.timeout, &self.clock, operation).await;
        // One part that is away is no reason to leave the others alone, nor is a stall of this process.
        let counts = !in_parts && !matches!(came, Came::Stall);
        let outcome = match came {
            Came::Answer(outcome) => outcome,
            Came::Nothing | Came::Stall => Err(Error::Timeout),
        };
        let opened = counts && self.breaker().note(outcome.is_ok(), self.clock.now());
        if let Err(error) = &outcome {
            self.telemetry.l2_failures.inc();
            tracing::debug!(error = %error, "shared cache");
            if opened {
                tracing::warn!(error = %error, "the shared cache fails and is left alone for a moment");
            }
        }
        if !in_parts || outcome.is_err() {
            self.tell_share();
        }
        outcome
    }

    fn tell_share(&self) {
        let open = if self.breaker().open_until.is_some() { 1.0 } else { self.engine.share_away() };
        self.telemetry.l2_open.set(open);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breaker {
    /// Whether a call may be made; an open breaker lets one through each [`OPEN_FOR`].
    fn admits(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + OPEN_FOR);
                true
            }
            None => true,
        }
    }

    /// Answers whether this call opened it.
    fn note(&mut self, succeeded: bool, now: Instant) -> bool {
        if succeeded {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            return false;
        }
        self.open_until.replace(now + OPEN_FOR).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_opens_after_failures_in_a_row_and_one_success_closes_it() {
        let clock = Clock::manual();
        let mut breaker = Breaker::default();
        for failure in 1..=FAILURES_MAX {
            assert!(breaker.admits(clock.now()));
            assert_eq!(breaker.note(false, clock.now()), failure == FAILURES_MAX);
        }
        assert!(!breaker.admits(clock.now()));
        clock.advance(OPEN_FOR);
        assert!(breaker.admits(clock.now()), "one tries");
        assert!(!breaker.admits(clock.now()), "the others wait for its outcome");
        breaker.note(true, clock.now());
        assert!(breaker.admits(clock.now()) && breaker.admits(clock.now()));
    }
}
