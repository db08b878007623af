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

/// On the primary: the replicas that could take over within a moment, the furthest first.
pub(crate) const STREAMING: &str = "select application_name from pg_stat_replication
    where state = 'streaming' and pg_wal_lsn_diff(pg_current_wal_flush_lsn(), replay_lsn) < 16 * 1024 * 1024
    order by replay_lsn desc, application_name";

/// On a replica without a primary: whether it will receive nothing more, and what it has received. One that has not
/// asked for a stream since its start must have come to the end of its own files first.
pub(crate) const RECEIVED: &str = "
    select not exists (select from pg_stat_activity where backend_type = 'walreceiver')
           and (pg_last_wal_receive_lsn() is not null
                or exists (select from pg_stat_activity
                           where backend_type = 'startup' and wait_event = 'RecoveryRetrieveRetryInterval'))
               as has_ended,
           greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), '0/0') as lsn";

/// On the primary: whether a replica streams, where the log ends, and what the furthest replica shows of it.
pub(crate) const COMPANY: &str = "
    select count(*) > 0, pg_current_wal_flush_lsn(), coalesce(max(replay_lsn), '0/0')
    from pg_stat_replication where state = 'streaming'";

pub(crate) const WAIT_FOR_NOBODY: &str = "alter system set synchronous_standby_names = ''";

/// Back to what all servers share.
pub(crate) const WAIT_FOR_ANY: &str = "alter system reset synchronous_standby_names";

pub(crate) const PROMOTE: &str = "select pg_promote(wait => false) where pg_is_in_recovery()";

/// Whether it is a replica that is led elsewhere than `$1`.
pub(crate) const GOES_ELSEWHERE: &str =
    "select pg_is_in_recovery() and current_setting('primary_conninfo') <> $1::text";

/// On a replica, whose slots nobody uses: what they have kept, they have kept for another time.
pub(crate) const DROP_SLOTS: &str = "select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where slot_type = 'physical' and not active and slot_name like 'postgres\\_%'";
