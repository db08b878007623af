//! The shared level on Redis 7 or newer (or Valkey): one server, or a cluster.
//!
//! All keys of a bucket share a slot, and each operation is one script there. A bucket has a sentinel: its epoch, the life
//! of the server in which that began, and the floor, which every invalidation in the bucket raises. So nothing is needed of
//! any other key: each may be evicted at any time. A server that has lost its memory has no sentinel; one that was started
//! again or promoted, and may lack invalidations which were acknowledged, has another life: both begin a new epoch, whose
//! floor is what the primary has flushed since. A hit costs no script: an invalidation marks the record itself.
//!
//! The connections are the client library's, the routes are ours: its cluster client holds up every request while it asks
//! for the slots. A server that is away is found out once, then its keys are misses at once, and all others go on.
//! Replicas are not read: an acknowledged invalidation would not be in force there.

mod address;
mod door;
mod engine;
mod examine;
mod facts;
mod link;
mod live;
pub mod local;
mod names;
mod push;
mod record;
mod routes;
mod script;
mod slot;
mod system;
mod told;
mod trouble;

pub use door::Unusable;
pub use engine::Redis;
pub use examine::{Examined, examine};

pub(crate) use address::Address;

/// What to write as `cache.url`.
pub(crate) const URL_FIX: &str = "refer to a URL like redis://user:password@host:6379, rediss://… or \
                                  redis-cluster://host1:6379,host2:6379, as in url = \"env:REDIS_URL\"";
