//! What stands in a server's configuration file. It holds passwords: mode 0600, and never in an argument.

use onefold_core::Secret;
use onefold_core::engine::Seat;
use std::path::Path;

/// As which nodes enter.
pub(super) const USER: &str = "onefold";
/// What each server may hold: enough to cache on a laptop.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// How long a server may be silent before the others take it for dead.
const SILENCE_MILLIS: u32 = 2000;

/// What the cache needs, and nothing else: on its own keys and channels alone. `docs/redis.md` says the same.
fn acl(prefix: &str) -> String {
    format!(
        "~{prefix}:* resetchannels &{prefix}:* -@all +asking +cluster|slots +del +evalsha +get +getrange +hello +hget \
         +hmget +hset +info +pexpire +ping +pttl +publish +script|load +set +setrange +subscribe"
    )
}

pub(super) struct Passwords {
    pub(super) admin: Secret,
    pub(super) application: Secret,
}

pub(super) fn text(seat: &Seat, data: &Path, prefix: &str, passwords: &Passwords) -> String {
    let (ip, port, peers) = (seat.address.ip(), seat.address.port(), seat.peers.port());
    let (admin, application) = (passwords.admin.expose(), passwords.application.expose());
    let (data, acl) = (data.display(), acl(prefix));
    format!(
        "bind {ip}\nport {port}\ncluster-port {peers}\ndir \"{data}\"\nlogfile \"\"\n\
         cluster-enabled yes\ncluster-config-file {FILE}\ncluster-node-timeout {SILENCE_MILLIS}\n\
         cluster-replica-validity-factor 0\ncluster-allow-replica-migration no\ncluster-require-full-coverage no\n\
         save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\nshutdown-timeout 1\n\
         maxmemory {MEMORY_BYTES_MAX}\nmaxmemory-policy allkeys-lfu\n\
         user default on >{admin} ~* &* +@all\nmasterauth {admin}\nuser {USER} on >{application} {acl}\n",
        FILE = super::nodes::FILE
    )
}
