//! The engine etcd, 3.4 or newer: keys under one prefix, its leases and its watch.
//!
//! Each transaction also writes the head, whose revision is the newest of this system; who shares an etcd sees gaps
//! between revisions. What a key once was stands in keys of its own, since etcd's history ends with its compaction.

mod changes;
mod channel;
mod client;
mod clocks;
mod contended;
mod entry;
mod epoch;
mod feed;
mod fence;
mod follow;
mod frames;
mod health;
mod keys;
mod kv;
mod lease;
pub mod local;
mod past;
mod refusal;
mod step;
mod value;
mod version;
mod wire;

use crate::config::Config;
use crate::store::{
    Acquired, Answer, Capabilities, Changes, Grant, Hint, Listing, Outcome, Past, Position, Report, Store,
    Txn,
};
use client::Client;
use contended::Contended;
use epoch::Epoch;
use feed::Feed;
use futures_util::stream::{BoxStream, StreamExt as _};
pub use health::{Health, MemberAnswer, MemberHealth, health};
use keys::Keys;
use lease::Held;
use onefold_core::topology::Fault;
use onefold_core::{Clock, TaskGroup};
use onefold_database::{Database, Tx};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// etcd rounds a lease up to whole seconds, and to one and a half times its election timeout, which is 1 s.
const TTL_MIN: Duration = Duration::from_secs(2);

/// The configuration service in etcd. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Etcd {
    client: Client,
    keys: Keys,
    feed: Arc<Feed>,
    epoch: Arc<Epoch>,
    /// What this process holds, by token.
    held: Arc<Mutex<HashMap<i64, Held>>>,
    contended: Arc<Contended>,
    is_following: Arc<AtomicBool>,
    /// Where fences stand.
    database: Database,
    timeout: Duration,
    tasks: TaskGroup,
    clock: Clock,
}

impl Etcd {
    /// The service at the endpoints of the configuration; fences stand in the database. It connects when somebody
    /// asks.
    ///
    /// # Errors
    /// Where no endpoint is named, or a file of TLS cannot be used.
    pub fn new(config: &Config, database: Database, tasks: TaskGroup, clock: Clock) -> Result<Self, Fault> {
        Ok(Self {
            client: Client::new(config, tasks.clone())?,
            keys: Keys::new(&config.prefix),
            feed: Arc::new(Feed::new()),
            epoch: Arc::default(),
            held: Arc::default(),
            contended: Arc::default(),
            is_following: Arc::default(),
            database,
            timeout: config.timeout,
            tasks,
            clock,
        })
    }

    fn lock_held(&self) -> MutexGuard<'_, HashMap<i64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Etcd {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "etcd", fence_excludes: false, ttl_min: TTL_MIN }
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Listing> {
        Box::pin(self.list_entries(prefix))
    }

    fn changes<'a>(&'a self, prefix: &'a str, after: Position) -> Answer<'a, Changes> {
        Box::pin(self.changes_after(prefix, after))
    }

    fn commit<'a>(&'a self, txn: &'a Txn) -> Answer<'a, Outcome> {
        Box::pin(self.commit_txn(txn))
    }

    fn history<'a>(&'a self, key: &'a str, limit: u32) -> Answer<'a, Vec<Past>> {
        Box::pin(self.past_of(key, limit))
    }

    fn compact(&self, revision: i64, past: u32) -> Answer<'_, ()> {
        Box::pin(async move {
            self.forget_up_to(revision, past).await?;
            self.forget_fences().await;
            Ok(())
        })
    }

    fn acquire<'a>(&'a self, name: &'a str, holder: &'a str, ttl: Duration) -> Answer<'a, Acquired> {
        Box::pin(self.acquire_lease(name, holder, ttl))
    }

    /// The ttl is that of the grant: etcd's leases keep theirs.
    fn renew<'a>(&'a self, grant: &'a Grant, _ttl: Duration, report: i64) -> Answer<'a, bool> {
        Box::pin(self.renew_lease(grant, report))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> Answer<'a, ()> {
        Box::pin(self.release_lease(grant))
    }

    fn reap<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        Box::pin(self.reap_leases(prefix))
    }

    fn reports<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Report>> {
        Box::pin(self.reports_under(prefix))
    }

    fn fence<'a>(&'a self, tx: &'a mut Tx, grant: &'a Grant) -> Answer<'a, ()> {
        Box::pin(self.fence_by_token(tx, grant))
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        if !self.is_following.swap(true, Ordering::Relaxed) {
            let (stopping, following) = (self.tasks.stopping(), self.clone().follow());
            self.tasks.spawn("coordination.feed", async move {
                let _ = stopping.run_until_cancelled(following).await;
            });
        }
        let hints = futures_util::stream::unfold(self.feed.subscribe(), |mut heard| async {
            let hint = match heard.recv().await {
                Ok(hint) => hint,
                Err(RecvError::Lagged(_)) => Hint::Gap,
                // The engine is gone: nothing will be heard any more.
                Err(RecvError::Closed) => std::future::pending().await,
            };
            Some((hint, heard))
        });
        hints.boxed()
    }
}
