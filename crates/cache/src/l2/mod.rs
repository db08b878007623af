//! The shared level: its contract, which each engine keeps in a folder of its own.

mod guard;
mod hints;
pub(crate) mod limit;

pub(crate) use guard::Guarded;
pub use hints::Hints;

use crate::decision::LeaseId;
use crate::key::CacheKey;
use onefold_core::process::BoxFuture;
use onefold_core::{Class, Classified, Lsn};
use onefold_database::Evidence;
use std::time::Duration;

/// A shared level.
///
/// **Contract.** For each key an engine keeps a value with its evidence, a tombstone and a lease; every operation is
/// one atomic step on one key, so that for each key all operations of all nodes have one order. Of that order:
///
/// - after an [`invalidate`](L2::invalidate) at `I` no `get` answers a value that was filled before it, every lease
///   granted before it is void, and every lease granted after it needs at least `I`;
/// - a [`fill`](L2::fill) is stored only under the lease that is current and not older than
///   [`LEASE_SECONDS`](crate::decision::LEASE_SECONDS);
/// - a key has at most one current lease; it is granted to somebody again once it was released, used, revoked or is
///   too old;
/// - an invalidation is remembered for [`TOMBSTONE_SECONDS`](crate::decision::TOMBSTONE_SECONDS) for its key, and
///   after that by the floor of its bucket;
/// - an engine may forget everything at any time. It then begins a new epoch: what it kept is gone, every lease is
///   void, and every new lease needs at least what the primary had flushed when the epoch began.
///
/// No operation is durable, and none is needed for correctness but `invalidate`: its success is promised to the
/// writer's session. Dropped futures may or may not have taken effect, but never half.
pub trait L2: Send + Sync + std::fmt::Debug {
    /// What this engine can promise.
    fn capabilities(&self) -> Capabilities;

    /// Its own way for hints between nodes. Without one they go by the database's notifications.
    fn hints(&self) -> Option<&dyn Hints> {
        None
    }

    /// The value, or a lease to load it.
    fn get<'a>(&'a self, key: &'a CacheKey, want: Want) -> BoxFuture<'a, Result<Got, Error>>;

    /// Stores what was loaded under a lease, and ends the lease. Answers whether it was stored.
    fn fill<'a>(
        &'a self,
        key: &'a CacheKey,
        lease: LeaseId,
        fill: Fill<'a>,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Gives a lease back unused, so that another may load.
    fn release<'a>(&'a self, key: &'a CacheKey, lease: LeaseId) -> BoxFuture<'a, Result<(), Error>>;

    /// Makes the keys' values stale copies, with `at` as their tombstone, and voids their leases. Answers with those keys of
    /// which it could not, as the part of the engine that holds them is away; with an error where it could of none.
    fn invalidate<'a>(&'a self, keys: &'a [CacheKey], at: Lsn)
    -> BoxFuture<'a, Result<Vec<CacheKey>, Error>>;

    /// Drops some of what is of no use any more; answers how much.
    fn sweep(&self) -> BoxFuture<'_, Result<u64, Error>>;

    /// How much of it is away and left alone at the moment, from 0 to 1, where it finds that out by itself.
    fn share_away(&self) -> f64 {
        0.0
    }
}

/// What engines differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// An acknowledged invalidation is never lost, unless everything is.
    pub keeps_invalidations: bool,
    /// It consists of several servers, of which one may be away while the others serve; it finds that out by itself, and
    /// then fails at once for what was there.
    pub fails_in_parts: bool,
    /// The largest value that it stores, in bytes.
    pub value_bytes_max: usize,
}

/// What a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The value if there is one, else a lease.
    Value,
    /// A lease although there is a value, since that one does not serve, or is about to end.
    Refresh,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    /// A valid value.
    Hit(Copied),
    /// The right to fill, with what the load must at least have seen.
    Leased {
        /// To be shown with the fill.
        lease: LeaseId,
        /// The last invalidation, or the floor.
        need: Lsn,
        /// The last value, for when the load fails.
        stale: Option<Copied>,
    },
    /// Somebody else is loading.
    Busy {
        /// The value as it was.
        stale: Option<Copied>,
    },
}

/// A value out of the shared level.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// As it was filled.
    pub payload: Vec<u8>,
    /// What its load had seen.
    pub evidence: Evidence,
    /// How long it is still valid; zero for a stale copy.
    pub remaining: Duration,
    /// How long it has been stale.
    pub stale_for: Duration,
}

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// The value.
    pub payload: &'a [u8],
    /// What its load had seen.
    pub evidence: Evidence,
    /// How long it is valid.
    pub ttl: Duration,
    /// How long it is kept as a stale copy after that.
    pub keep_stale: Duration,
}

/// A failure of the shared level; readers do without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its database says no.
    #[error(transparent)]
    Database(#[from] onefold_database::Error),
    /// It did not answer in time.
    #[error("the shared cache did not answer in time")]
    Timeout,
    /// It failed lately and is left alone for a moment.
    #[error("the shared cache failed lately and is left alone for a moment")]
    Open,
    /// The part of it that holds the key is away.
    #[error("the shared cache at {server} is away")]
    Away {
        /// Where it was looked for.
        server: String,
    },
    /// The key is on its way from one server to another.
    #[error("the key is on its way from one server of the shared cache to another")]
    Moving,
    /// A server says no.
    #[error("the shared cache at {server} refuses: {reason}")]
    Refused {
        /// Which.
        server: String,
        /// Why, in its words.
        reason: String,
    },
    /// What it answered makes no sense.
    #[error("the shared cache answered nonsense: {0}")]
    Nonsense(&'static str),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Database(error) => error.class(),
            Self::Timeout | Self::Open | Self::Away { .. } | Self::Moving => Class::Transient,
            Self::Refused { .. } => Class::Permanent,
            Self::Nonsense(_) => Class::Bug,
        }
    }
}
