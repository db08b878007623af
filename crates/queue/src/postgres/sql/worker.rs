//! Workers' leases, and what happens to their jobs when those end.

/// A new worker's row.
pub const REGISTER: &str = "
insert into onefold.worker (boot, node, zone, build, expires_at)
values ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
returning id";

/// Extends a lease. It waits for no standby: with both gone, workers must not lose their leases.
pub(crate) const RENEW: &str = "
with quiet as materialized (select set_config('synchronous_commit', 'off', true))
update onefold.worker set expires_at = clock_timestamp() + $2::bigint * interval '1 microsecond'
from quiet where id = $1
returning id";

/// The jobs of a worker that somebody wants cancelled. By `job_locked`.
pub(crate) const CANCELLED: &str =
    "select id from onefold.job where locked_by = $1 and state = 1 and cancelled";

/// Removes a worker's row: waits for its fetches, and bars later ones.
pub(crate) const RESIGN: &str = "delete from onefold.worker where id = $1";

/// Releases all that a resigned worker held, attempt not counted. By `job_locked`.
pub(crate) const RELEASE: &str = "
update onefold.job set state = 0, run = run + 1, locked_by = null, attempt = attempt - 1 where locked_by = $1 and state = 1";

/// The workers whose lease has ended. The condition is tested again once a renewal in progress has ended.
pub(crate) const EXPIRE: &str =
    "delete from onefold.worker where expires_at <= clock_timestamp() returning id";

/// Dead letters among the running jobs without a worker: their last attempt is spent. By `job_locked`.
pub(crate) const ORPHANS_DIE: &str = "
with gone as (
    delete from onefold.job
    where state = 1 and attempt >= attempts_max and not cancelled
      and not exists (select from onefold.worker where worker.id = job.locked_by)
    returning *
)
insert into onefold.job_dead (id, created_at, run_at, run, attempt, attempts_max, kind_version, priority,
                              queue, kind, args, unique_key, trace, session, deadline, errors)
select id, created_at, run_at, run, attempt, attempts_max, kind_version, priority, queue, kind, args,
       unique_key, trace, session, deadline,
       jsonb_path_query_array(coalesce(errors, '[]') || jsonb_build_object(
           'at', clock_timestamp(), 'attempt', attempt, 'error', $1::text), '$[last - 4 to last]')
from gone
returning id, kind";

/// Ends the cancelled ones among the running jobs without a worker. By `job_locked`.
pub(crate) const ORPHANS_CANCELLED: &str = "
with gone as (
    delete from onefold.job
    where state = 1 and cancelled
      and not exists (select from onefold.worker where worker.id = job.locked_by)
    returning *
)
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select id, created_at, run_at, 0, attempt, attempts_max, kind_version, priority, true, queue, kind, args,
       trace, errors
from gone";

/// Frees the other running jobs without a worker; their attempt is spent. By `job_locked`.
pub(crate) const ORPHANS_FREED: &str = "
update onefold.job
set state = 0, run = run + 1, locked_by = null,
    errors = jsonb_path_query_array(coalesce(errors, '[]') || jsonb_build_object(
        'at', clock_timestamp(), 'attempt', attempt, 'error', $1::text), '$[last - 4 to last]')
where state = 1 and not exists (select from onefold.worker where worker.id = job.locked_by)
returning queue";
