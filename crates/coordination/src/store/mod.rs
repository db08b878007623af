//! The engine of the configuration service: what it promises, in prose, and its types.
//!
//! Everything else of this crate (members, election, locks, flags, settings) stands on this trait and knows no
//! engine. The conformance suite (feature `testing`) has a case for each promise.

mod kv;
mod lease;

pub use kv::{Change, Changes, Compare, Entry, Listing, Operation, Outcome, Past, Position, Txn, Writer};
pub(crate) use kv::{as_of, latest};
pub use lease::{Acquired, FencingToken, Grant, InvalidToken, Report};

use crate::error::Error;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use onefold_database::Tx;
use std::collections::HashMap;
use std::time::Duration;

/// The answer of an engine.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// What engines differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine's name, for people.
    pub name: &'static str,
    /// [`Store::fence`] holds the lease until the transaction ends, so that a takeover waits for its commit. Else
    /// the fence only refuses a token that is older than one already seen.
    pub fence_excludes: bool,
    /// A lease that is asked for a shorter time runs for this long. Its holder counts what it asked for: only a
    /// takeover comes later.
    pub ttl_min: Duration,
}

/// Something happened at the engine: read again.
///
/// Hints may be lost, repeated, or come late; nothing depends on them but latency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A transaction changed the store.
    Changed,
    /// The lease of this name was released.
    Released(String),
    /// Hints may have been missed: everything may have happened.
    Gap,
}

/// A key-value store with revisions, leases and a gapless watch.
///
/// **Order.** Each transaction that changes something gets a greater revision, on Postgres the next one; revisions
/// become visible in their order: whoever sees revision `n` has every revision below it before them.
///
/// **Durability.** An acknowledged transaction survives the loss of any one machine of the engine, unless all
/// that it wrote is carried by leases: that one survives a restart. Where revisions ran back
/// (a failover lost what was not acknowledged), the [`Position::epoch`] is a greater one, and positions of an older
/// epoch are answered with [`Changes::Elsewhere`].
///
/// **Time.** Leases run on one clock, the engine's. A token only grows per name, over restarts and failovers too.
///
/// **Cancel safety.** A dropped future leaves the store as if the call had been made or had not; it never leaves
/// a half of it. [`Error::Unknown`] says the same where an answer was lost.
///
/// **Away.** While the engine does not answer, calls fail with [`Error::Away`] within the deadline that the engine
/// was given; they do not hang.
pub trait Store: Send + Sync + 'static {
    /// What this engine can do.
    fn capabilities(&self) -> Capabilities;

    /// Everything under `prefix`, sorted by key, as of one position.
    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Listing>;

    /// What changed under `prefix` after `after`: every change exactly once, in order of revision, whole
    /// transactions only. Below the compacted revision the answer is [`Changes::Compacted`]; a position of another
    /// epoch is answered with [`Changes::Elsewhere`]: in both cases list again.
    fn changes<'a>(&'a self, prefix: &'a str, after: Position) -> Answer<'a, Changes>;

    /// Compares, then applies one of two lists of operations, as one atomic step of one revision. A transaction
    /// that changes nothing takes no revision.
    fn commit<'a>(&'a self, txn: &'a Txn) -> Answer<'a, Outcome>;

    /// What `key` was, the newest first: values, tombstones, who and why. Kept over compaction, as many as
    /// [`Store::compact`] leaves.
    fn history<'a>(&'a self, key: &'a str, limit: u32) -> Answer<'a, Vec<Past>>;

    /// The last change of each of these keys, a tombstone too, by key; a key that was never written is not there.
    /// One question for each key, where the engine knows no better.
    fn latest<'a>(&'a self, keys: &'a [String]) -> Answer<'a, HashMap<String, Past>> {
        Box::pin(async move {
            let mut latest = HashMap::with_capacity(keys.len());
            for key in keys {
                latest.extend(self.history(key, 1).await?.pop().map(|past| (key.clone(), past)));
            }
            Ok(latest)
        })
    }

    /// Forgets changes at or below `revision`, and leases that ended long ago; of durable keys the last `past`
    /// values stay for [`Store::history`]. Never fails a reader but with [`Changes::Compacted`].
    fn compact(&self, revision: i64, past: u32) -> Answer<'_, ()>;

    /// Takes the lease `name` for `ttl` if it is free or has ended, with a token greater than any before; else
    /// answers how long it still runs. Does not wait for a fenced transaction of the holder longer than a
    /// moment. Durable before it answers.
    fn acquire<'a>(&'a self, name: &'a str, holder: &'a str, ttl: Duration) -> Answer<'a, Acquired>;

    /// Makes the lease run for `ttl`, that of its grant, from now, if `token` still holds it, and notes what the
    /// holder reports. Answers whether it does. Passes while a transaction fences it. A restart of the engine never
    /// shortens it; on Postgres it waits for no other machine, on etcd for its leader.
    fn renew<'a>(&'a self, grant: &'a Grant, ttl: Duration, report: i64) -> Answer<'a, bool>;

    /// Frees the lease, if `token` still holds it, and hints those who wait.
    fn release<'a>(&'a self, grant: &'a Grant) -> Answer<'a, ()>;

    /// Ends the leases under `prefix` whose time is over, with the keys they carry. Answers how many ended.
    fn reap<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64>;

    /// What the holders of the leases under `prefix` reported last.
    fn reports<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Report>>;

    /// Makes `tx` succeed only if `grant` still holds its lease: see [`Capabilities::fence_excludes`].
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where it does not.
    fn fence<'a>(&'a self, tx: &'a mut Tx, grant: &'a Grant) -> Answer<'a, ()>;

    /// Hints, from now on. Each caller gets all of them; the stream does not end.
    fn hints(&self) -> BoxStream<'static, Hint>;
}
