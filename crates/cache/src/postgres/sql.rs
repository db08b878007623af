//! The statements of this engine. Each is one atomic step on one row, and lives on the primary key of
//! `onefold.cache`.
//!
//! Log positions are `int8`: they are compared here and made by the server, and `pg_lsn` gains nothing.
//! Time is the server's.

/// A key's row, unless its bucket's epoch has ended.
pub(super) const LOOK: &str = "\
select c.valid and c.expires_at > now, c.lease is not null and c.lease_until > now,
       c.payload, c.stamp, c.stamp_is_replayed, c.shown, c.shown_timeline,
       extract(epoch from c.expires_at - now)::float8,
       extract(epoch from now - least(c.expires_at, c.stale_since))::float8
  from clock_timestamp() as now,
       onefold.cache as s join onefold.cache as c on c.bucket = s.bucket and c.epoch = s.epoch
 where s.bucket = $1 and s.key = '' and c.key = $2";

/// Grants a lease where there is none and, unless `$4` asks for a refresh, no valid value. A bucket without a
/// sentinel gets one, and with it a new epoch, whose floor is what is flushed now.
///
/// The tombstone rises even over an epoch's end: an invalidation may have met the bucket without its sentinel while
/// that was being made with an older position.
pub(super) const LEASE: &str = "\
with made as (
    insert into onefold.cache (bucket, key, epoch, tombstone)
    select $1, '', $5, (pg_current_wal_flush_lsn() - '0/0')::int8
     where not exists (select from onefold.cache where bucket = $1 and key = '')
    on conflict do nothing
    returning epoch, tombstone),
sentinel as (
    select epoch, tombstone from made
     union all
    select epoch, tombstone from onefold.cache where bucket = $1 and key = '')
insert into onefold.cache as c (bucket, key, epoch, tombstone, lease, lease_until, keep_until)
select $1, $2, epoch, tombstone, $3,
       clock_timestamp() + make_interval(secs => $6), clock_timestamp() + make_interval(secs => $7)
  from sentinel
 limit 1
on conflict (bucket, key) do update
   set epoch = excluded.epoch,
       tombstone = greatest(c.tombstone, excluded.tombstone),
       valid = c.valid and c.epoch = excluded.epoch,
       payload = case when c.epoch = excluded.epoch then c.payload end,
       lease = excluded.lease,
       lease_until = excluded.lease_until,
       keep_until = greatest(c.keep_until, excluded.keep_until)
 where (c.lease is null or c.lease_until <= clock_timestamp() or c.epoch <> excluded.epoch)
   and ($4 or not c.valid or c.expires_at <= clock_timestamp() or c.epoch <> excluded.epoch)
returning tombstone";

/// Stores under a lease that is current and not too old, in the epoch in which it was granted.
pub(super) const FILL: &str = "\
update onefold.cache as c
   set valid = true, payload = $4, stamp = $5, stamp_is_replayed = $6, shown = $7, shown_timeline = $8,
       expires_at = now + make_interval(secs => $9), stale_since = null,
       keep_until = greatest(c.keep_until, now + make_interval(secs => $9 + $10)),
       lease = null, lease_until = null
  from clock_timestamp() as now, onefold.cache as s
 where c.bucket = $1 and c.key = $2 and c.lease = $3 and c.lease_until > now
   and s.bucket = $1 and s.key = '' and s.epoch = c.epoch";

/// Ends a lease without a value.
pub(super) const RELEASE: &str = "\
update onefold.cache set lease = null, lease_until = null where bucket = $1 and key = $2 and lease = $3";

/// Invalidates keys, in the order of the primary key so that two never wait for each other in a circle.
pub(super) const INVALIDATE: &str = "\
insert into onefold.cache as c (bucket, key, epoch, tombstone, keep_until)
select k.bucket, k.key, coalesce(s.epoch, '00000000-0000-0000-0000-000000000000'), $3,
       clock_timestamp() + make_interval(secs => $4)
  from unnest($1::int2[], $2::text[]) as k(bucket, key)
  left join onefold.cache as s on s.bucket = k.bucket and s.key = ''
 order by k.bucket, k.key
on conflict (bucket, key) do update
   set valid = false,
       tombstone = greatest(c.tombstone, excluded.tombstone),
       stale_since = case when c.valid then least(c.expires_at, clock_timestamp()) else c.stale_since end,
       lease = null, lease_until = null,
       keep_until = greatest(c.keep_until, excluded.keep_until)";

/// Drops what nobody needs any more in a range of buckets, and lets their floors remember the tombstones.
pub(super) const SWEEP: &str = "\
with gone as (
    delete from onefold.cache
     where bucket >= $1 and bucket < $2 and key <> '' and keep_until < clock_timestamp()
       and (lease_until is null or lease_until < clock_timestamp())
    returning bucket, tombstone),
floors as (select bucket, max(tombstone) as floor from gone group by bucket),
raised as (
    update onefold.cache as s set tombstone = floor
      from floors
     where s.bucket = floors.bucket and s.key = '' and s.tombstone < floor)
select count(*) from gone";
