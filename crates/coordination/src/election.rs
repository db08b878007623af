//! Election: of all who stand for a name, one leads at a time.

use crate::lock::pause;
use crate::store::{Acquired, FencingToken};
use crate::tenure::{Holding, Tenure};
use crate::wakes::Wakes;
use onefold_core::NodeName;
use onefold_core::retry::Backoff;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) const PREFIX: &str = "election/";

/// While the service is away: no herd when it comes back, and yet within a second.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_millis(800) };

/// Whether this node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another node leads, or nobody.
    Follower,
    /// This node leads, and steps down by itself before anybody else can.
    Leader {
        /// Greater than that of every leader before.
        token: FencingToken,
    },
}

impl Leadership {
    /// Whether this node leads.
    pub fn leads(self) -> bool {
        matches!(self, Self::Leader { .. })
    }
}

/// Who leads an election, as the engine last heard. One that has died stays until somebody takes its seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// What it was elected for.
    pub election: String,
    /// The node.
    pub node: String,
}

/// One node's standing for one name.
pub(crate) struct Candidate {
    pub(crate) holding: Holding,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) name: String,
    pub(crate) node: NodeName,
    pub(crate) ttl: Duration,
}

impl Candidate {
    /// Stands until every receiver is dropped or the node stops; then the seat is given back.
    pub(crate) fn stand(self) -> watch::Receiver<Leadership> {
        let (sender, receiver) = watch::channel(Leadership::Follower);
        let stopping = self.holding.tasks.stopping();
        self.holding.tasks.clone().spawn("coordination.election", async move {
            loop {
                let (tenure, since) = tokio::select! {
                    won = self.win() => won,
                    () = sender.closed() => return,
                    () = stopping.cancelled() => return,
                };
                self.lead(&tenure, since, &sender).await;
                tenure.ended().await;
                if stopping.is_cancelled() || sender.is_closed() {
                    return;
                }
            }
        });
        receiver
    }

    async fn lead(&self, tenure: &Tenure, asked: Instant, sender: &watch::Sender<Leadership>) {
        let token = tenure.token();
        self.holding.meters.elections_won.inc();
        let waited = self.holding.clock.now() - asked;
        tracing::info!(election = %self.name, node = %self.node, %token, ?waited, "leads");
        sender.send_replace(Leadership::Leader { token });
        self.holding.meters.leads(&self.name, true);
        let stopping = self.holding.tasks.stopping();
        tokio::select! {
            () = tenure.lost() => {}
            () = sender.closed() => {}
            () = stopping.cancelled() => {}
        }
        // In this order: who is told of the free seat must find nobody who still believes to lead.
        sender.send_replace(Leadership::Follower);
        self.holding.meters.leads(&self.name, false);
        tenure.leave();
        tracing::info!(election = %self.name, node = %self.node, %token, "steps down");
    }

    async fn win(&self) -> (Arc<Tenure>, Instant) {
        let lease = format!("{PREFIX}{}", self.name);
        let mut releases = self.wakes.releases(&lease);
        let mut failures = 0;
        loop {
            let asked = self.holding.clock.now();
            let wait = match self.holding.store.acquire(&lease, self.node.as_str(), self.ttl).await {
                Ok(Acquired::Granted(grant)) => {
                    return (Tenure::keep(&self.holding, grant, asked, self.ttl), asked);
                }
                Ok(Acquired::Held { remaining, .. }) => {
                    failures = 0;
                    pause(remaining, (self.holding.draw)())
                }
                Err(error) => {
                    tracing::debug!(election = %self.name, %error, "stand for election");
                    failures += 1;
                    pause_after(failures, (self.holding.draw)())
                }
            };
            drop(tokio::time::timeout(wait, releases.next()).await);
        }
    }
}

/// How long to wait after so many failures in a row; `drawn` is from zero to one.
pub(crate) fn pause_after(failures: u32, drawn: f64) -> Duration {
    BACKOFF.bound(failures).mul_f64(0.5 + drawn / 2.0)
}
