//! Every statement of this engine. All of them live on the primary keys of four small tables, but for
//! [`HISTORY`] (index `kv_log_key`) and [`REAP_KEYS`] (index `kv_lease`).

/// The timeline that is written now: it grows with each promotion, which may have lost revisions.
macro_rules! timeline {
    () => {
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    };
}

/// Makes the commit wait for this server's disk, and for no other server.
macro_rules! local {
    () => {
        "with quick as materialized (select set_config('synchronous_commit', 'local', true)) "
    };
}

pub(super) const LIST: &str = concat!(
    "select r.current, ",
    timeline!(),
    ", kv.key, kv.value, kv.create_revision, kv.revision, kv.lease
     from onefold.revision r left join onefold.kv on starts_with(kv.key, $1)
     order by kv.key"
);

/// One snapshot for the counter and the log, or a change could fall between them.
pub(super) const CHANGES: &str = concat!(
    "select r.current, r.compacted, ",
    timeline!(),
    ", log.revision, log.key, log.value, log.create_revision, log.lease
     from onefold.revision r left join onefold.kv_log log
       on log.revision > $2 and log.revision <= $3 and starts_with(log.key, $1)
     order by log.revision, log.key"
);

/// After the commit, as a transaction of its own, which takes the one lock of all notifications for no longer than
/// it must.
pub(super) const HINT: &str = "
    with quick as materialized (select set_config('synchronous_commit', 'off', true))
    select pg_notify($1, $2) from quick";

pub(super) const NEXT_REVISION: &str =
    concat!("update onefold.revision set current = current + 1 returning current, ", timeline!());

pub(super) const COMPARED: &str = "select key, revision, value from onefold.kv where key = any($1)";

pub(super) const PUT: &str = "
    with old as (select value from onefold.kv where key = $1),
    put as (
        insert into onefold.kv as kv (key, value, create_revision, revision, version, lease)
        values ($1, $2, $3, $3, 1, $4)
        on conflict (key) do update
        set value = excluded.value, revision = excluded.revision, version = kv.version + 1, lease = excluded.lease
        returning create_revision
    )
    insert into onefold.kv_log (revision, key, value, previous, create_revision, lease, actor, reason)
    select $3, $1, $2, (select value from old), create_revision, $4, $5, $6 from put
    returning lease is null as durable";

pub(super) const DELETE: &str = "
    with gone as (delete from onefold.kv where key = $1 returning value, create_revision, lease)
    insert into onefold.kv_log (revision, key, value, previous, create_revision, lease, actor, reason)
    select $2, $1, null, value, create_revision, lease, $3, $4 from gone
    returning lease is null as durable";

pub(super) const HISTORY: &str = "
    select revision, value, actor, reason, at from onefold.kv_log where key = $1 order by revision desc limit $2";

/// By `kv_log_key`, one probe for each key.
pub(super) const LATEST: &str = "
    select last.*, wanted.key
    from unnest($1::text[]) as wanted (key)
    cross join lateral (
        select revision, value, actor, reason, at from onefold.kv_log log
        where log.key = wanted.key collate \"C\" order by revision desc limit 1
    ) last";

pub(super) const COMPACT: &str =
    "update onefold.revision set compacted = greatest(compacted, least($1, current))";

pub(super) const FORGET: &str = "
    with aged as (
        select revision, key, lease, row_number() over (partition by key order by revision desc) as age
        from onefold.kv_log
    )
    delete from onefold.kv_log log using aged
    where log.revision = aged.revision and log.key = aged.key and log.revision <= $1
      and (aged.lease is not null or aged.age > $2)";

/// Tokens still grow, since they come from a sequence of all leases. An older timeline's lease is not ours to judge:
/// see [`REDATE`].
pub(super) const FORGET_LEASES: &str = concat!(
    "delete from onefold.lease where expires_at < clock_timestamp() - interval '1 hour' and timeline = ",
    timeline!()
);

pub(super) const LEASE: &str = concat!(
    "select holder, token, ttl_ms, timeline, expires_at = 'epoch' as released,
       ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint as remaining_ms, ",
    timeline!(),
    " from onefold.lease where name = $1"
);

/// After a promotion the holder's last renewals may be lost: it gets one more ttl from now.
pub(super) const REDATE: &str = concat!(
    local!(),
    "update onefold.lease set timeline = $3, expires_at = clock_timestamp() + ttl_ms * interval '1 millisecond'
     from quick where name = $1 and token = $2 and timeline < $3"
);

/// The token is the timeline above a sequence, since a promotion may run the sequence back.
pub(super) const TAKE: &str = concat!(
    "insert into onefold.lease as lease (name, holder, token, timeline, ttl_ms, expires_at)
     select $1, $2, (t << 40) + nextval('onefold.lease_token'), t, $3::bigint,
       clock_timestamp() + $3::bigint * interval '1 millisecond'
     from (select ",
    timeline!(),
    " as t) timeline
     on conflict (name) do update
     set holder = excluded.holder, token = excluded.token, timeline = excluded.timeline, ttl_ms = excluded.ttl_ms,
       expires_at = clock_timestamp() + excluded.ttl_ms * interval '1 millisecond', report = 0
     where lease.token = $4 and lease.expires_at <= clock_timestamp()
     returning token"
);

/// A renewal that arrives after the release must not revive the lease.
pub(super) const RENEW: &str = concat!(
    local!(),
    "update onefold.lease
     set expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond', ttl_ms = $3::bigint, report = $4, timeline = ",
    timeline!(),
    " from quick where name = $1 and token = $2 and expires_at <> 'epoch'"
);

pub(super) const RELEASE: &str = concat!(
    local!(),
    "update onefold.lease set expires_at = 'epoch' from quick where name = $1 and token = $2"
);

pub(super) const REAPABLE: &str = "
    select exists (select from onefold.lease where starts_with(name, $1) and expires_at <= clock_timestamp()),
      clock_timestamp()";

/// Only right after the question: a server that was stopped in between would judge those who could not renew.
pub(super) const REAP: &str = "
    delete from onefold.lease
    where starts_with(name, $1) and expires_at <= clock_timestamp() and clock_timestamp() < $2::timestamptz + interval '1 second'";

/// Also the keys that were written under a lease which had ended by then.
pub(super) const REAP_KEYS: &str = "
    with gone as (
        delete from onefold.kv
        where lease is not null and starts_with(lease, $1)
          and not exists (select from onefold.lease where lease.name = kv.lease)
        returning key, value, create_revision, lease
    )
    insert into onefold.kv_log (revision, key, value, previous, create_revision, lease, actor, reason)
    select $2, key, null, value, create_revision, lease, 'onefold', 'lease ended' from gone";

pub(super) const REPORTS: &str =
    "select name, holder, report from onefold.lease where starts_with(name, $1) order by name";

/// A share lock on the key: a renewal passes, a takeover waits for this transaction's end.
pub(super) const FENCE: &str = "
    select token from onefold.lease
    where name = $1 and token = $2 and expires_at > clock_timestamp() for key share";
