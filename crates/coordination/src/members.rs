//! Members: the nodes of the system, each registered under a lease that it keeps renewing.
//!
//! The list is part of the watched snapshot: a node disappears when the service ends its lease, or at once when
//! it leaves. While the service is away nobody disappears, since nobody can tell who is dead and who only cut
//! off; and when it comes back, everybody has a whole ttl to renew.

use crate::membership::Membership;
use crate::metrics::Meters;
use crate::snapshot::Snapshot;
use crate::tenure::Holding;
use crate::watcher::{Projection, Watched};
use onefold_core::{Member, Members};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const KEYS: &str = "members/";
/// The leases of members; [`crate::store::Store::reap`] ends them by this prefix.
pub(crate) const LEASES: &str = "member/";

/// Who is there. Cloning is cheap.
#[derive(Clone)]
pub struct MemberList {
    pub(crate) holding: Holding,
    pub(crate) watched: Arc<Watched>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) ttl: Duration,
}

/// The list as the snapshot has it.
#[derive(Debug)]
pub(crate) struct Roster {
    members: watch::Sender<Members>,
    meters: Meters,
}

/// A registered node. It stays registered, through restarts of the service too, until it leaves, is dropped, or
/// the node stops.
#[derive(Debug)]
pub struct Registration {
    leaving: CancellationToken,
    left: CancellationToken,
    registered: watch::Receiver<bool>,
}

impl MemberList {
    /// Registers a node, in the background, for as long as it takes: a node boots while the service is away.
    ///
    /// A new start of a node replaces the one before it, of the same name, at once.
    pub fn register(&self, member: Member) -> Registration {
        let (sender, registered) = watch::channel(false);
        let registration =
            Registration { leaving: CancellationToken::new(), left: CancellationToken::new(), registered };
        let membership = Membership { list: self.clone(), member, registered: sender };
        let (leaving, left) = (registration.leaving.clone(), registration.left.clone());
        let stopping = self.holding.tasks.stopping();
        self.holding.tasks.spawn("coordination.member", async move {
            tokio::select! {
                () = membership.keep() => {}
                () = leaving.cancelled() => {}
                () = stopping.cancelled() => {}
            }
            membership.leave().await;
            left.cancel();
        });
        registration
    }

    /// The members, now and after each change.
    pub fn watch(&self) -> watch::Receiver<Members> {
        self.roster.members.subscribe()
    }

    /// The members now.
    pub fn now(&self) -> Members {
        self.roster.members.borrow().clone()
    }
}

impl Registration {
    /// Returns once the node is registered.
    pub async fn ready(&self) {
        // An error means that the registration has ended: there is nothing to wait for.
        let _ = self.registered.clone().wait_for(|registered| *registered).await;
    }

    /// Leaves: the others see it at once. Returns when that is done, or when it has failed and the lease's end
    /// will do it.
    pub async fn leave(self) {
        self.leaving.cancel();
        self.left.cancelled().await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

impl Roster {
    pub(crate) fn new(meters: Meters) -> Self {
        Self { members: watch::channel(Members::from([])).0, meters }
    }
}

impl Projection for Roster {
    fn apply(&self, snapshot: &Snapshot) {
        let members: Members = snapshot
            .under(KEYS)
            .filter_map(|(name, entry)| match serde_json::from_value((*entry.value).clone()) {
                Ok(member) => Some(member),
                Err(error) => {
                    tracing::warn!(member = name, %error, "member is unreadable for this build");
                    None
                }
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        self.meters.members.set(members.len() as f64);
        self.members.send_if_modified(|current| {
            let changed = *current != members;
            if changed {
                *current = members;
            }
            changed
        });
    }
}
