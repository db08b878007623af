//! One node's membership: registered, renewed, and registered again where its lease has ended.

use crate::election::pause_after;
use crate::error::Error;
use crate::lock::pause;
use crate::members::{KEYS, LEASES, MemberList};
use crate::store::{Acquired, Compare, Grant, Operation, Txn, Writer};
use onefold_core::Member;
use std::time::Duration;
use tokio::sync::watch;

/// Keeps a node registered.
pub(crate) struct Membership {
    pub(crate) list: MemberList,
    pub(crate) member: Member,
    pub(crate) registered: watch::Sender<bool>,
}

/// A start that takes its name over writes in any case; one whose lease has ended must not take the name back
/// from its successor.
#[derive(Clone, Copy, Debug)]
enum Start {
    First,
    Again,
}

impl Membership {
    /// Registers, renews, and registers again where the lease has ended.
    pub(crate) async fn keep(&self) {
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
                Ok(Acquired::Held { remaining, .. }) => pause(remaining, (self.list.holding.draw)()),
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
        pause_after(*failures, (self.list.holding.draw)())
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

    /// Leaves, if the name is still this start's.
    pub(crate) async fn leave(&self) {
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
