//! Every statement of this tier but the migrations, with the index it lives on.

/// What a server is and where it stands. On a replica the timeline comes from the best source that its role may
/// read: the receiver's (`pg_monitor`) is new at once, the control file's only after a restart point.
pub(crate) const PROBE: &str = "\
select is_replica,
       case when is_replica then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end as lsn,
       case when is_replica
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select min_recovery_end_timeline from pg_control_recovery()),
                          (select received_tli from pg_stat_wal_receiver))
            else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
       end as timeline,
       (select system_identifier from pg_control_system()) as system,
       (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as start
  from (select pg_is_in_recovery() as is_replica) as role";

/// When a server was started, in microseconds of its own clock: what tells servers apart that one address hides.
pub(crate) const START: &str =
    "select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as start";

/// The primary's flush LSN: every commit that was visible before has its record at or below it, but for one that
/// waits for no flush (`synchronous_commit = off`).
pub(crate) const FLUSH_LSN: &str = "select pg_current_wal_flush_lsn()";

/// What a replica has replayed.
pub(crate) const REPLAY_LSN: &str = "select coalesce(pg_last_wal_replay_lsn(), '0/0')";

/// What a replica has replayed, and the record that it is replaying: a commit is visible there a moment before the
/// replay LSN reaches its end. The record begins at the replay LSN, and its end has been received. Where replay is
/// slow that may be far ahead, and would send the session to the primary; so no more than 1 MiB is added, which a
/// commit's record exceeds only with some 60,000 invalidation messages. A standby that has just started and replays
/// what it has on disk has received nothing yet: there the record in hand is left out.
pub(crate) const REPLAYING_LSN: &str = "\
select greatest(replayed, least(coalesce(pg_last_wal_receive_lsn(), replayed), replayed + 1048576))
  from (select coalesce(pg_last_wal_replay_lsn(), '0/0') as replayed) as at";

/// Fails in an aborted transaction, so that the COMMIT behind it in the same flight cannot be a silent ROLLBACK.
pub(crate) const ALIVE: &str = "select 1";

/// Rows of effects, in the transaction's own last flight.
pub(crate) const OUTBOX_INSERT: &str = "\
insert into onefold.outbox (subject, payload, headers)
select subject, payload, $3
  from unnest($1::text[], $2::bytea[]) as record(subject, payload)
returning id";

/// By primary key.
pub(crate) const OUTBOX_ACKNOWLEDGE: &str =
    "update onefold.outbox set acknowledged = true where id = any($1) and not acknowledged";

/// On `outbox_unacknowledged`.
pub(crate) const OUTBOX_UNACKNOWLEDGED: &str = "\
select id, xid::text::bigint, subject, payload, headers
  from onefold.outbox
 where not acknowledged and subject = $1 and created_at < clock_timestamp() - make_interval(secs => $2) and id > $4
 order by id
 limit $3";

/// On `outbox_created_at`. Unacknowledged rows stay: somebody has still to apply them.
pub(crate) const OUTBOX_EXPIRE: &str =
    "delete from onefold.outbox where acknowledged and created_at < clock_timestamp() - interval '60 s'";

/// The primary's flush LSN F, the oldest id in use, and after F the next id that will be given: `age` counts from that
/// one, in a transaction that has none itself. Whatever has its record at or below F has an id below the latter.
pub(crate) const IN_USE: &str = "\
select pg_current_wal_flush_lsn(), pg_snapshot_xmin(snapshot)::text::bigint,
       pg_snapshot_xmin(snapshot)::text::bigint + age(pg_snapshot_xmin(snapshot)::xid)
  from pg_current_snapshot() as snapshot";

/// Whether a commit waits for a standby, of this account or of any if it may see them (`pg_monitor`).
pub(crate) const IS_ANY_WAITING: &str =
    "select exists (select from pg_stat_activity where wait_event = 'SyncRep')";

/// Where a tail begins: all transactions below have ended, and what they committed is visible to this snapshot.
pub(crate) const HORIZON: &str = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// Rows of ended transactions since the last look, on `outbox_xid`, and the next id that will be given.
pub(crate) const OUTBOX_TAIL: &str = "\
with horizon as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xmin)
select horizon.xmin::text::bigint, horizon.xmin::text::bigint + age(horizon.xmin::xid),
       id, outbox.xid::text::bigint, subject, payload, headers
  from horizon
  left join onefold.outbox
    on subject = $1 and outbox.xid >= $2::bigint::text::xid8 and outbox.xid < horizon.xmin
 order by outbox.xid, id";

/// The one row that makes a cluster this system.
pub(crate) const SYSTEM: &str = "select cluster_id, signing_key from onefold.system";

/// The claim of an idempotency key, by primary key. It waits for whoever else claims it, and takes over one whose
/// window has passed.
pub(crate) const CLAIM: &str = "\
insert into onefold.idempotency as claim (scope, key, fingerprint) values ($1, $2, $3)
on conflict (scope, key) do update
   set fingerprint = excluded.fingerprint, answer = null, records = '[]', created_at = excluded.created_at
 where claim.created_at < now() - make_interval(secs => $4)
returning true";

/// By primary key.
pub(crate) const ANSWER_READ: &str = "\
select fingerprint, answer, records <> '[]' from onefold.idempotency where scope = $1 and key = $2";

/// By primary key.
pub(crate) const ANSWER_KEEP: &str = "\
update onefold.idempotency set answer = $3, records = $4 where scope = $1 and key = $2";

/// The outbox rows of a key's first request once more, by primary key.
pub(crate) const RECORDS_AGAIN: &str = "\
insert into onefold.outbox (subject, payload, headers)
select record ->> 'subject', decode(record ->> 'payload', 'base64'), $3
  from onefold.idempotency, jsonb_array_elements(records) as record
 where scope = $1 and key = $2";

/// On `idempotency_created_at`.
pub(crate) const CLAIMS_EXPIRE: &str =
    "delete from onefold.idempotency where created_at < now() - make_interval(secs => $1)";
