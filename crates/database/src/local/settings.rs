//! The servers' settings: what all share stands in a file of the data directory, so that a rewind, which copies
//! that file, changes nothing; what is one server's own stands on its command line.

use onefold_core::NodeName;
use std::path::Path;

/// The file of the shared settings in the data directory, included by `postgresql.conf`.
pub(crate) const FILE: &str = "onefold.conf";

/// The settings that all servers share. `names` are all of them, so that the list is right after a promotion too.
pub(crate) fn shared(names: &[NodeName], connections_max: u16) -> String {
    let mut lines = vec![FIXED.trim_start().to_owned(), format!("max_connections = {connections_max}")];
    if cfg!(target_os = "linux") {
        // A twin that waits for an idempotency key must notice that its client has gone.
        lines.push("client_connection_check_interval = 1s".to_owned());
        // Before a recovery every file is synced: a thousand calls, or this one.
        lines.push("recovery_init_sync_method = syncfs".to_owned());
    }
    if names.len() > 1 {
        let quoted = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        lines.push(format!("synchronous_standby_names = 'ANY 1 ({quoted})'"));
        lines.push("synchronous_commit = remote_apply".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Each line has its reason in the guarantee that would break without it.
const FIXED: &str = "
# Written by `up` before each start; put your own settings into postgresql.conf below the include, or use
# ALTER SYSTEM.

# Streaming: a replica that is away for long must not fill the disk, and one that is back must not wait.
wal_level = replica
hot_standby = on
max_wal_senders = 10
max_replication_slots = 10
wal_keep_size = 64MB
max_slot_wal_keep_size = 1GB
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
wal_receiver_timeout = 10s
wal_sender_timeout = 10s

# A long read on a replica must neither pin the queue's vacuum horizon nor stall commits that wait for replay.
hot_standby_feedback = off
max_standby_streaming_delay = 500ms
max_standby_archive_delay = 500ms

# A client that is gone, or forgot its transaction, must not hold locks.
idle_in_transaction_session_timeout = 60s
tcp_keepalives_idle = 5
tcp_keepalives_interval = 5
tcp_keepalives_count = 3

# Passwords.
password_encryption = scram-sha-256

# Small hot tables are vacuumed often; short statements gain nothing from compilation.
autovacuum_naptime = 5s
jit = off
random_page_cost = 1.1
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] %q%u@%d '
";

/// A text with one setting in it replaced, or removed where `value` is none; all other lines stay.
pub(crate) fn with_setting(text: &str, name: &str, value: Option<&str>) -> String {
    let is_it = |line: &&str| line.split('=').next().is_some_and(|word| word.trim() == name);
    let mut lines: Vec<String> = text.lines().filter(|line| !is_it(line)).map(str::to_owned).collect();
    lines.extend(value.map(|value| format!("{name} = {}", quoted(value))));
    lines.push(String::new());
    lines.join("\n")
}

/// A value of a configuration file, or of `ALTER SYSTEM`.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// How another server's programs reach this one.
pub(crate) fn conninfo(port: u16, user: &str, passfile: &Path) -> String {
    let passfile = passfile.display().to_string().replace('\\', r"\\").replace('\'', r"\'");
    format!(
        "host=127.0.0.1 port={port} user={user} passfile='{passfile}' sslmode=disable connect_timeout=5 \
         keepalives_idle=5 keepalives_interval=5 keepalives_count=3"
    )
}

/// The name of a server's slot on the others: slots know no dash.
pub(crate) fn slot(name: &NodeName) -> String {
    name.as_str().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_in_the_list_that_commits_wait_for() {
        let names: Vec<NodeName> = ["postgres-1", "postgres-2"].map(|name| name.parse().unwrap()).into();
        let text = shared(&names, 200);
        assert!(
            text.contains(r#"synchronous_standby_names = 'ANY 1 ("postgres-1", "postgres-2")'"#),
            "{text}"
        );
        let alone = shared(&names[..1], 200);
        assert!(!alone.contains("synchronous_"), "a lone server waits for nobody: {alone}");
    }

    #[test]
    fn one_setting_is_replaced_and_the_users_own_stay() {
        let text = "# by ALTER SYSTEM\nwork_mem = '8MB'\nprimary_conninfo = 'old'\n";
        let changed = with_setting(text, "primary_conninfo", Some("passfile='x'"));
        assert_eq!(changed, "# by ALTER SYSTEM\nwork_mem = '8MB'\nprimary_conninfo = 'passfile=''x'''\n");
        assert_eq!(with_setting(&changed, "primary_conninfo", None), "# by ALTER SYSTEM\nwork_mem = '8MB'\n");
    }
}
