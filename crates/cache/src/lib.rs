//! Distributed cache: a level in each node, a level that all share, and the protocol that keeps both honest.
//!
//! - [`Cached`] is a typed key space, [`Cache::get_or`] reads an entry of it or loads it;
//! - [`Cache::invalidation`] is attached to the transaction that changes what an entry was made of;
//! - [`decision`] holds every rule of the protocol as a pure function; the models in `tests/models` explore them;
//! - [`L2`] is the contract of the shared level, `conformance` (feature `testing`) its proof for an engine.
//!
//! What it promises: a session never reads an entry older than what its token covers, on any node, whichever replica
//! lags and whichever writer dies; and a hit raises the token of a tracked session to all that it can have shown. What
//! it does not: sessions without a token may see an old entry until its invalidation arrives, within milliseconds, or
//! at the latest until the entry's lifetime in L1 ends.

mod bus;
mod cache;
mod config;
pub mod decision;
mod dispatcher;
mod engine;
mod flight;
mod invalidation;
mod keep;
mod key;
mod l1;
mod l2;
mod lease;
mod lookup;
mod near;
mod node;
mod payload;
pub mod postgres;
mod probe;
#[cfg(feature = "redis")]
pub mod redis;
mod shape;
mod shared;
mod space;
mod telemetry;
mod watermark;

#[cfg(feature = "testing")]
pub mod conformance;

pub use cache::Cache;
pub use config::{Config, Engine};
pub use invalidation::Invalidation;
pub use key::{CacheKey, Key};
pub use l2::{Capabilities, Copied, Error, Fill, Got, Hints, L2, Want};
pub use postgres::MIGRATIONS;
pub use space::Cached;
