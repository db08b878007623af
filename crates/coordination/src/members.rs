//! Members: the nodes of the system, each registered under a lease that it keeps renewing.
//!
//! The list is part of the watched snapshot: a node disappears when the service ends its lease, or at once when
//! it leaves. While the service is away nobody disappears, since nobody can tell who is dead and who only cut
//! off; and when it comes back, everybody has a whole ttl to renew.

use crate::election::pause_after;
use crate::error::Error;
use crate::lock::pause;
use crate::metrics::Meters;
use crate::snapshot::Snapshot;
use crate::store::{Acquired, Compare, Grant, Operation, Txn, Writer};
use crate::tenure::Holding;
use crate::watcher::{Projection, Watched};
use onefold_core::{Member, Members};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const KEYS: &str = "members/";
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
        let keeper = Keeper { list: self.clone(), member, registered: sender };
        let (leaving, left) = (registration.leaving.clone(), registration.left.clone());
        let stopping = self.holding.tasks.stopping();
        self.holding.tasks.spawn("coordination.member", async move {
            tokio::select! {
                () = keeper.keep() => {}
                () = leaving.cancelled() => {}
                () = stopping.cancelled() => {}
            }
            keeper.leave().await;
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

struct Keeper {
    list: MemberList,
    member: Member,
    registered: watch::Sender<bool>,
}

/// A start that takes its name over writes in any case; one whose lease has ended must not take the name back
/// from its successor.
#[derive(Clone, Copy, Debug)]
enum Start {
    First,
    Again,
}

impl Keeper {
    /// Registers, renews, and registers again where the lease has ended.
    async fn keep(&self) {
        let mut start = Start::First;
        loop {
            let grant = self.acquire().await;
            if self.enter(&grant, start).await {
                start = Start::Again;
                self.registered.send_replace(true);
                self.renew_until_ended(&grant).await;
                self.registered.send_replace(false);
                tracing::warn!(member = %self.member.name, "membership ended; registering again");
            } else {
                self.give_up(&grant).await;
            }
        }
    }

    /// Takes the lease of this start, which nobody else wants: at the latest when an earlier grant, whose answer
    /// was lost, has ended.
    async fn acquire(&self) -> Grant {
        let mut failures = 0;
        loop {
            let store = &self.list.holding.store;
            let pause = match store.acquire(&self.lease(), self.member.name.as_str(), self.list.ttl).await {
                Ok(Acquired::Granted(grant)) => return grant,
                Ok(Acquired::Held { remaining, .. }) => pause(remaining),
                Err(error) => self.failed(&error, &mut failures),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Writes the member under its lease. False where another start of the same node has the name, and this one is
    /// not the newer.
    async fn enter(&self, grant: &Grant, start: Start) -> bool {
        let ways = match start {
            Start::First => vec![vec![]],
            Start::Again => vec![
                vec![Compare::Revision { key: self.key(), is: 0 }],
                vec![Compare::Value { key: self.key(), is: self.value() }],
            ],
        };
        let mut failures = 0;
        let mut ways = ways.into_iter().peekable();
        while let Some(compare) = ways.peek() {
            let put =
                Operation::Put { key: self.key(), value: self.value(), lease: Some(grant.name.clone()) };
            match self.list.holding.store.commit(&self.txn(compare.clone(), put)).await {
                Ok(outcome) if outcome.held => return true,
                Ok(_) => drop(ways.next()),
                Err(error) => tokio::time::sleep(self.failed(&error, &mut failures)).await,
            }
        }
        false
    }

    /// Leaves the name to another start, and looks again after a while whether it is still there.
    async fn give_up(&self, grant: &Grant) {
        tracing::warn!(member = %self.member.name, "another start of this node is registered");
        if let Err(error) = self.list.holding.store.release(grant).await {
            tracing::debug!(member = %self.member.name, %error, "release the membership");
        }
        tokio::time::sleep(self.list.ttl).await;
    }

    fn failed(&self, error: &Error, failures: &mut u32) -> Duration {
        tracing::debug!(member = %self.member.name, %error, "register");
        *failures += 1;
        pause_after(*failures)
    }

    async fn renew_until_ended(&self, grant: &Grant) {
        let ttl = self.list.ttl;
        let mut pause = ttl / 3;
        loop {
            tokio::time::sleep(pause).await;
            let revision = self.list.watched.snapshot().position().revision;
            pause = match self.list.holding.store.renew(grant, ttl, revision).await {
                Ok(true) => ttl / 3,
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(member = %self.member.name, %error, "renew the membership");
                    ttl / 20
                }
            };
        }
    }

    async fn leave(&self) {
        let compare = vec![Compare::Value { key: self.key(), is: self.value() }];
        let delete = Operation::delete(self.key());
        if let Err(error) = self.list.holding.store.commit(&self.txn(compare, delete)).await {
            tracing::debug!(member = %self.member.name, %error, "leave");
        }
    }

    fn txn(&self, compare: Vec<Compare>, operation: Operation) -> Txn {
        let writer = Writer::new(self.member.name.as_str());
        Txn { compare, then: vec![operation], otherwise: vec![], writer }
    }

    fn key(&self) -> String {
        format!("{KEYS}{}", self.member.name)
    }

    fn lease(&self) -> String {
        format!("{LEASES}{}", self.member.boot)
    }

    fn value(&self) -> serde_json::Value {
        // A struct of names, numbers and addresses: it always serializes.
        serde_json::to_value(&self.member).unwrap_or_default()
    }
}
