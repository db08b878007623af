//! Handing jobs to workers.

/// Takes a batch: each lane (queue and priority) by equality from its mark on, best lane first. By `job_ready`.
///
/// `me` takes the worker's row, or a late fetch would leave jobs that nobody owns. Without `materialized` the
/// planner may pick more rows than the limit. The rows are locked in this very statement, so their `ctid`
/// cannot move, and the plan can be nothing but a TID scan.
pub const FETCH: &str = "
with me as materialized (
    select id from onefold.worker where id = $1 and expires_at > clock_timestamp() for key share
), picked as materialized (
    select ready.at
    from me
    cross join unnest($2::text[], $3::smallint[], $4::timestamptz[], $5::bigint[])
         as lane (queue, priority, mark_at, mark_id)
    cross join lateral (
        select ctid as at
        from onefold.job
        where state = 0 and queue = lane.queue and priority = lane.priority
          and run_at <= statement_timestamp() and (run_at, id) >= (lane.mark_at, lane.mark_id)
        order by run_at, id
        limit $6
        for update skip locked
    ) ready
    limit $6
)
update onefold.job
set state = 1, run = run + 1, attempt = attempt + 1, locked_by = $1
where ctid = any (array (select at from picked))
returning id, run, attempt, attempts_max, kind_version, priority, queue, kind, args, run_at, created_at,
          trace, session, deadline, statement_timestamp() as fetched_at, pg_current_wal_flush_lsn() as seen";

/// How many microseconds until the next job of these lanes is due. By `job_ready`, one probe for each lane.
pub const NEXT_DUE: &str = "
select (extract(epoch from min(next.run_at) - clock_timestamp()) * 1000000)::bigint
from unnest($1::text[], $2::smallint[]) as lane (queue, priority)
cross join lateral (
    select run_at from onefold.job
    where state = 0 and queue = lane.queue and priority = lane.priority and run_at > statement_timestamp()
    order by run_at, id limit 1
) next";

/// Takes up held jobs of known kinds. By `job_held`.
pub const UNPARK: &str = "
update onefold.job set state = 0
from unnest($1::text[], $2::int[]) as known (kind, version)
where job.state = 2 and job.kind = known.kind and job.kind_version <= known.version
returning job.queue";
