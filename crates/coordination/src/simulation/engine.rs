//! The engine that a simulated election asks: one lease, on one clock, as `Store` promises it.

use crate::store::{Acquired, FencingToken, Grant};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// What is asked of it.
#[derive(Clone, Debug)]
pub(super) enum What {
    Acquire { holder: String, ttl: Duration },
    Renew { token: FencingToken, ttl: Duration },
    Release { token: FencingToken },
}

/// A question and who asks.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) node: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum Reply {
    Acquired(Acquired),
    Renewed(bool),
    Released,
}

/// Where an answer goes; the first one counts.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo(Arc<Mutex<Option<oneshot::Sender<Reply>>>>);

impl ReplyTo {
    pub(super) fn new(sender: oneshot::Sender<Reply>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    pub(super) fn tell(&self, reply: Reply) {
        if let Some(sender) = self.0.lock().unwrap().take() {
            // It may have stopped waiting.
            let _ = sender.send(reply);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Lease {
    holder: String,
    token: i64,
    /// Zero where it was released.
    until: Duration,
}

#[derive(Debug)]
pub(super) struct Engine {
    lease: Lease,
    /// A lease runs for its time divided by this: more than one is a bug.
    shorter: u32,
}

impl Engine {
    pub(super) fn new(shorter: u32) -> Self {
        Self { lease: Lease::default(), shorter }
    }

    pub(super) fn answer(&mut self, ask: &Ask, now: Duration) -> Reply {
        let lease = &mut self.lease;
        match &ask.what {
            What::Acquire { .. } if lease.until > now => {
                let remaining = lease.until.saturating_sub(now);
                Reply::Acquired(Acquired::Held { remaining, holder: lease.holder.clone() })
            }
            What::Acquire { holder, ttl } => {
                let (token, until) = (lease.token + 1, now + *ttl / self.shorter);
                *lease = Lease { holder: holder.clone(), token, until };
                let name = super::ELECTION.to_owned();
                Reply::Acquired(Acquired::Granted(Grant { name, token: FencingToken(token) }))
            }
            What::Renew { token, ttl } => {
                let holds = lease.token == token.0 && !lease.until.is_zero();
                if holds {
                    lease.until = now + *ttl / self.shorter;
                }
                Reply::Renewed(holds)
            }
            What::Release { token } => {
                if lease.token == token.0 {
                    lease.until = Duration::ZERO;
                }
                Reply::Released
            }
        }
    }

    /// What the fence asks.
    pub(super) fn is_held(&self, token: i64, now: Duration) -> bool {
        self.lease.token == token && self.lease.until > now
    }
}
