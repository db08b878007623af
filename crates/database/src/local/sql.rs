//! The statements of the supervisor's sessions. All are on system views of a few rows.

pub(crate) const IS_STANDBY: &str = "select pg_is_in_recovery()";

/// On a replica: whether it receives.
pub(crate) const STREAMS: &str =
    "select exists (select from pg_stat_wal_receiver where status = 'streaming')";

/// On the primary: whether the replica `$1` has replayed all that there is.
pub(crate) const FOLLOWS: &str = "select exists (select from pg_stat_replication
    where application_name = $1 and state = 'streaming' and replay_lsn >= pg_current_wal_flush_lsn())";

pub(crate) const MAKE_SLOTS: &str =
    "select pg_create_physical_replication_slot(name) from unnest($1::text[]) name
    where not exists (select from pg_replication_slots where slot_name = name)";

/// Slots of servers that the topology no longer has would keep WAL for nobody.
pub(crate) const DROP_STALE_SLOTS: &str = "select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where slot_type = 'physical' and not active and slot_name like 'postgres\\_%' and slot_name <> all ($1::text[])";

/// On the primary: whether it has removed WAL that the slot `$1` needs (`max_slot_wal_keep_size`).
pub(crate) const SLOT_IS_LOST: &str = "select exists (select from pg_replication_slots
    where slot_name = $1 and wal_status = 'lost')";

pub(crate) const DROP_SLOT: &str = "select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where slot_name = $1 and not active";

/// The slot keeps WAL at once, not only from its first use.
pub(crate) const RESERVE_SLOT: &str = "select pg_create_physical_replication_slot($1, true)
    where not exists (select from pg_replication_slots where slot_name = $1)";
