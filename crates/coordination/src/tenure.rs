//! One granted lease, kept: renewed in time, or known to be lost before anybody else can have it.
//!
//! The holder judges by its own monotonic clock, counted from before it asked: whatever the answer took, the
//! lease cannot end earlier than that at the engine. A margin covers clocks that run at different rates. What a
//! holder cannot know is that its whole machine was suspended, since its clock stood still too: only the fence
//! stops what it writes then.

use crate::metrics::Meters;
use crate::store::{FencingToken, Grant, Store};
use onefold_core::{Clock, TaskGroup};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A pause after a failed renewal: short, since a few must fit before the lease ends.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a holder needs.
#[derive(Clone)]
pub(crate) struct Holding {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tasks: TaskGroup,
    pub(crate) meters: Meters,
    pub(crate) clock: Clock,
    /// Draws a number from zero to one, for pauses that must not coincide with others'.
    pub(crate) draw: fn() -> f64,
}

/// A kept lease.
#[derive(Debug)]
pub(crate) struct Tenure {
    grant: Grant,
    clock: Clock,
    until: Mutex<Instant>,
    lost: CancellationToken,
    leaving: CancellationToken,
    ended: CancellationToken,
}

impl Tenure {
    /// Keeps a lease that was asked for at `asked` and granted for `ttl`, until it is lost or given back.
    pub(crate) fn keep(holding: &Holding, grant: Grant, asked: Instant, ttl: Duration) -> Arc<Self> {
        let tenure = Arc::new(Self {
            grant,
            clock: holding.clock.clone(),
            until: Mutex::new(safe_until(asked, ttl)),
            lost: CancellationToken::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let (kept, holding) = (tenure.clone(), holding.clone());
        holding.tasks.clone().spawn("coordination.lease", async move {
            holding.meters.leases_held.inc();
            kept.run(&holding, asked, ttl).await;
            holding.meters.leases_held.dec();
            kept.ended.cancel();
        });
        tenure
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    pub(crate) fn token(&self) -> FencingToken {
        self.grant.token
    }

    /// Whether it is surely still held: also right after the process was stopped for a while.
    pub(crate) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && !self.leaving.is_cancelled() && self.clock.now() < self.until()
    }

    /// Returns once the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the lease back, soon. The holder must not act under it any more.
    pub(crate) fn leave(&self) {
        self.leaving.cancel();
    }

    /// Returns once the lease was given back or is lost.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    async fn run(&self, holding: &Holding, asked: Instant, ttl: Duration) {
        let left =
            self.leaving.run_until_cancelled(self.renew_until_lost(holding, asked, ttl)).await.is_none();
        if !left {
            self.lost.cancel();
            holding.meters.leases_lost.inc();
            tracing::warn!(lease = %self.grant.name, token = %self.grant.token, "lease lost");
            // Not released before its holder has noticed: until then only its end may pass it on.
            self.leaving.cancelled().await;
        }
        // Also a lost one: the last renewal may have reached the engine, and the successor would wait for it.
        if let Err(error) = holding.store.release(&self.grant).await {
            tracing::debug!(lease = %self.grant.name, %error, "release the lease");
        }
    }

    async fn renew_until_lost(&self, holding: &Holding, asked: Instant, ttl: Duration) {
        let mut next = asked + ttl / 3;
        loop {
            let now = self.clock.now();
            let until = self.until();
            if now >= until {
                return;
            }
            if now < next {
                tokio::time::sleep((next - now).min(until - now)).await;
                continue;
            }
            match tokio::time::timeout(until - now, holding.store.renew(&self.grant, ttl, 0)).await {
                Ok(Ok(true)) => {
                    *self.lock() = safe_until(now, ttl);
                    next = now + ttl / 3;
                }
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::debug!(lease = %self.grant.name, %error, "renew the lease");
                    next = self.clock.now() + RETRY_PAUSE.min(ttl / 10);
                }
            }
        }
    }

    fn until(&self) -> Instant {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a holder may act: a tenth of the ttl before the engine gives the lease to another.
fn safe_until(asked: Instant, ttl: Duration) -> Instant {
    asked + ttl.mul_f64(0.9)
}
