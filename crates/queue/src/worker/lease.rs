//! Keeps a worker's lease, and knows when it must not be trusted any more.

use super::life::Life;
use crate::store::Renewal;
use std::time::{Duration, Instant};

/// How soon a renewal that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// What is known of a lease: when the last renewal that succeeded was *sent*, for the engine counts from a later
/// moment.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    confirmed: Instant,
    lease: Duration,
    margin: Duration,
}

impl Tenure {
    /// From when on the worker acts as if the lease were lost.
    fn ends(&self) -> Instant {
        self.confirmed + self.lease.saturating_sub(self.margin)
    }

    /// When to send the next renewal.
    fn renews(&self) -> Instant {
        self.confirmed + self.lease / 3
    }
}

/// Renews until the lease is lost.
pub(super) async fn keep(life: &Life) {
    let (crew, config) = (&life.crew, &life.crew.config);
    let mut tenure = Tenure { confirmed: life.registered, lease: config.lease, margin: config.lease_margin };
    let mut next = tenure.renews();
    loop {
        tokio::time::sleep(next.saturating_duration_since(crew.clock.now())).await;
        let sent = crew.clock.now();
        let left = tenure.ends().saturating_duration_since(sent);
        match tokio::time::timeout(left, crew.store.renew(life.id, config.lease)).await {
            Ok(Ok(Renewal::Held { cancelled })) => {
                tenure.confirmed = sent;
                next = tenure.renews();
                for job in cancelled {
                    crew.cancel(job);
                }
            }
            Ok(Ok(Renewal::Gone)) => {
                tracing::warn!("worker was rescued: its jobs belong to others, its handlers are cancelled");
                return;
            }
            Ok(Err(error)) => {
                tracing::debug!("renew lease: {error}");
                next = crew.clock.now() + RETRY_AFTER;
            }
            Err(_) => next = tenure.ends(),
        }
        if crew.clock.now() >= tenure.ends() {
            tracing::warn!("worker could not renew its lease: its handlers are cancelled");
            return;
        }
    }
}

/// Takes up held jobs that this build knows: at the start and then as often as the lease is renewed, since an
/// older worker may hold them later. Never ends.
pub(super) async fn take_up(life: &Life) {
    let crew = &life.crew;
    loop {
        match crew.store.unpark(&crew.versions).await {
            Ok(queues) => {
                for queue in queues {
                    crew.wakes.wake(&queue);
                }
            }
            Err(error) => tracing::debug!("take up held jobs: {error}"),
        }
        tokio::time::sleep(crew.config.lease / 3).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn handlers_are_cancelled_before_the_engine_may_give_their_jobs_away(
            lease_ms in 1000_u64..60_000, margin_ms in 100_u64..500, handled_ms in 0_u64..5000,
        ) {
            let sent = onefold_core::Clock::manual().now();
            let tenure = Tenure {
                confirmed: sent,
                lease: Duration::from_millis(lease_ms),
                margin: Duration::from_millis(margin_ms),
            };
            // The engine's lease runs from when it handled the renewal: later than it was sent.
            let engine_ends = sent + Duration::from_millis(handled_ms + lease_ms);
            prop_assert!(tenure.ends() < engine_ends);
            prop_assert!(tenure.renews() < tenure.ends());
        }
    }
}
