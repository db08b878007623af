//! Locks: one holder at a time in the whole system, with a fencing token.
//!
//! A lock alone excludes nobody truly: a holder that stops for longer than its lease wakes up and goes on. What
//! excludes is the fence: a transaction that was fenced by the lock commits only while the lock is held.

use crate::error::Error;
use crate::store::{Acquired, FencingToken};
use crate::tenure::{Holding, Tenure};
use crate::wakes::Wakes;
use onefold_core::NodeName;
use onefold_database::Tx;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const PREFIX: &str = "lock/";

/// A takeover that waits for the holder's last transaction asks again after this.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The locks of the system. Cloning is cheap.
#[derive(Clone)]
pub struct Locks {
    pub(crate) holding: Holding,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) node: NodeName,
}

/// A lock that is held, given back when dropped.
///
/// It renews itself. Where that fails in time, it is lost: [`Lock::lost`] returns, and a fenced transaction
/// fails.
pub struct Lock {
    name: String,
    tenure: Arc<Tenure>,
    holding: Holding,
}

impl Locks {
    /// Takes the lock, if nobody has it. It ends by itself `ttl` after its holder died.
    ///
    /// Cancel safety: a dropped call may leave it taken by nobody until the ttl is over.
    ///
    /// # Errors
    /// [`Error::Away`] and [`Error::Unknown`] where the service did not answer: it is not held here, and may be
    /// taken by nobody until the ttl is over.
    pub async fn try_lock(&self, name: &str, ttl: Duration) -> Result<Option<Lock>, Error> {
        match self.acquire(name, ttl).await? {
            Ok(lock) => Ok(Some(lock)),
            Err(_) => Ok(None),
        }
    }

    /// Takes the lock, waiting for it as long as the future lives: the next one is woken when it is released, and
    /// asks again when its lease ends.
    ///
    /// # Errors
    /// As [`Locks::try_lock`], whose cancel safety it has.
    pub async fn lock(&self, name: &str, ttl: Duration) -> Result<Lock, Error> {
        let mut releases = self.wakes.releases(&lease_name(name));
        loop {
            match self.acquire(name, ttl).await? {
                Ok(lock) => return Ok(lock),
                Err(remaining) => {
                    let pause = pause(remaining, (self.holding.draw)());
                    drop(tokio::time::timeout(pause, releases.next()).await);
                }
            }
        }
    }

    #[tracing::instrument(name = "lock", skip_all, fields(onefold.lock = name), err(level = "debug"))]
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<Result<Lock, Duration>, Error> {
        let asked = self.holding.clock.now();
        match self.holding.store.acquire(&lease_name(name), self.node.as_str(), ttl).await? {
            Acquired::Granted(grant) => {
                let tenure = Tenure::keep(&self.holding, grant, asked, ttl);
                Ok(Ok(Lock { name: name.to_owned(), tenure, holding: self.holding.clone() }))
            }
            Acquired::Held { remaining, .. } => Ok(Err(remaining)),
        }
    }
}

impl Lock {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token of this holding: greater than that of every holding before.
    pub fn token(&self) -> FencingToken {
        self.tenure.token()
    }

    /// Whether it is surely still held, by this node's own clock.
    pub fn is_held(&self) -> bool {
        self.tenure.is_held()
    }

    /// Returns once the lock is lost. Cancel safe.
    pub async fn lost(&self) {
        self.tenure.lost().await;
    }

    /// Makes `tx` succeed only while this lock is held. On Postgres nobody else gets the lock before the
    /// transaction has ended, so that lock and data exclude each other truly.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the lock has passed to somebody else or its time is over.
    pub async fn fence(&self, tx: &mut Tx) -> Result<(), Error> {
        self.holding.store.fence(tx, self.tenure.grant()).await.map_err(|error| match error {
            Error::LeaseLost { .. } => Error::LeaseLost { name: self.name.clone() },
            other => other,
        })
    }

    /// Gives the lock back, and returns when that is done. Dropping does the same in the background.
    pub async fn release(self) {
        self.tenure.leave();
        self.tenure.ended().await;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.tenure.leave();
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("name", &self.name).field("token", &self.token()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("node", &self.node).finish_non_exhaustive()
    }
}

fn lease_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// How long one waits whose turn may come after `remaining`; `drawn` is from zero to one.
pub(crate) fn pause(remaining: Duration, drawn: f64) -> Duration {
    if remaining.is_zero() { BUSY_PAUSE.mul_f64(0.5 + drawn) } else { remaining }
}
