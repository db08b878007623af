//! The scripts: each is one atomic step on one key, and all keys that it touches share a slot. They decide nothing that
//! is not a rule of [`crate::decision`], whose name stands beside it.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError};
use std::sync::LazyLock;

/// A script, called by its hash.
pub(crate) struct Script {
    source: &'static str,
    hash: LazyLock<String>,
}

macro_rules! script {
    ($($(#[$doc:meta])* $name:ident = $($file:literal),+;)*) => {$(
        $(#[$doc])*
        pub(crate) static $name: Script = Script {
            source: concat!($(include_str!(concat!("lua/", $file))),+),
            hash: LazyLock::new(|| redis_hash(concat!($(include_str!(concat!("lua/", $file))),+))),
        };
    )*};
}

script! {
    /// A value, a lease, or what else there is to say.
    LEASE = "lease.lua";
    /// The floor of an epoch that has begun.
    BEGIN = "begin.lua";
    /// A value under its lease.
    FILL = "fill.lua";
    /// A lease given back.
    RELEASE = "release.lua";
    /// A value made stale.
    INVALIDATE = "invalidate.lua", "raise.lua";
    /// The floor alone, while its slot is moving.
    RAISE = "raise.lua";
}

static ALL: [&Script; 6] = [&LEASE, &BEGIN, &FILL, &RELEASE, &INVALIDATE, &RAISE];

impl Script {
    /// A call with these keys; arguments follow.
    pub(crate) fn call(&self, keys: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.hash.as_str()).arg(keys.len()).arg(keys);
        command
    }
}

/// Has a server know all of them.
pub(crate) async fn load(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let mut pipeline = redis::pipe();
    for script in ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source).ignore();
    }
    pipeline.query_async(connection).await
}

fn redis_hash(source: &str) -> String {
    redis::Script::new(source).get_hash().to_owned()
}
