//! What has outlived its time.

/// Forgets windows that have ended. By `job_window_expires`.
pub(crate) const PRUNE_WINDOWS: &str = "delete from onefold.job_window where expires_at <= clock_timestamp()";

/// The partitions of a table.
pub(crate) const PARTITIONS: &str = "
select child.relname::text
from pg_inherits join pg_class child on child.oid = inhrelid
where inhparent = ('onefold.' || $1)::regclass";

/// Today by the server, and the day of the oldest job that may still be delivered again.
pub(crate) const OLDEST_DAY: &str = "
select (clock_timestamp() at time zone 'utc')::date,
       (least((select min(created_at) from onefold.job), (select min(created_at) from onefold.job_dead),
              clock_timestamp()) at time zone 'utc')::date";
