//! How many jobs there are, and what holds them up.

/// How many jobs each queue has in the tables, where the condition says which rows run.
macro_rules! depths {
    ($running:literal) => {
        concat!(
            "
select queue, sum(available)::bigint, sum(scheduled)::bigint, sum(retrying)::bigint, sum(running)::bigint,
       sum(held)::bigint, sum(dead)::bigint, coalesce(max(oldest), 0)::float8
from (
    select queue,
           count(*) filter (where state = 0 and run_at <= statement_timestamp()) as available,
           count(*) filter (where state = 0 and run_at > statement_timestamp()) as scheduled,
           count(*) filter (where state = 0 and attempt > 0) as retrying,
           count(*) filter (where ",
            $running,
            ") as running,
           count(*) filter (where state = 2) as held,
           0 as dead,
           extract(epoch from statement_timestamp() - min(run_at)
               filter (where state = 0 and run_at <= statement_timestamp())) as oldest
    from onefold.job group by queue
    union all
    select queue, 0, 0, 0, 0, 0, count(*), 0 from onefold.job_dead group by queue
) counted
group by queue order by queue"
        )
    };
}
#[cfg(feature = "nats")]
pub(crate) use depths;

/// One pass over each table.
pub(crate) const DEPTHS: &str = depths!("state = 1");

/// The same, but no further than a thousand jobs of a state, for a queue and priority where they wait: by
/// `job_ready`, `job_retrying`, `job_locked` and `job_held`, so that a million waiting jobs cost milliseconds. The bound
/// ([`crate::admin::COUNTED_MAX`]) is written out, since a plan for an unknown one is taken for dear, and compiled.
pub const DEPTHS_BOUNDED: &str = "
with recursive waiting (queue) as (
    (select queue from onefold.job where state = 0 order by queue limit 1)
    union all
    select next.queue
    from waiting
    cross join lateral (
        select queue from onefold.job where state = 0 and queue > waiting.queue order by queue limit 1
    ) next
), lane as materialized (
    select queue, priority from waiting cross join unnest('{0,1,2,3}'::smallint[]) as priority
), counted as (
    select lane.queue, due.jobs as available, later.jobs as scheduled, 0 as retrying, 0 as running, 0 as held,
           0 as dead, due.oldest
    from lane
    cross join lateral (
        select count(*) as jobs, min(run_at) as oldest
        from (
            select run_at from onefold.job
            where state = 0 and queue = lane.queue and priority = lane.priority
              and run_at <= statement_timestamp()
            order by run_at, id limit 1000
        ) due
    ) due
    cross join lateral (
        select count(*) as jobs
        from (
            select from onefold.job
            where state = 0 and queue = lane.queue and priority = lane.priority
              and run_at > statement_timestamp()
            order by run_at, id limit 1000
        ) later
    ) later
    union all
    select queue, 0, 0, count(*), 0, 0, 0, null
    from (select queue from onefold.job where state = 0 and attempt > 0 limit 1000) retrying group by queue
    union all
    select queue, 0, 0, 0, count(*), 0, 0, null
    from (select queue from onefold.job where state = 1 limit 1000) running group by queue
    union all
    select queue, 0, 0, 0, 0, count(*), 0, null
    from (select queue from onefold.job where state = 2 limit 1000) held group by queue
    union all
    select queue, 0, 0, 0, 0, 0, count(*), null
    from (select queue from onefold.job_dead limit 1000) dead group by queue
)
select queue, sum(available)::bigint, sum(scheduled)::bigint, sum(retrying)::bigint, sum(running)::bigint,
       sum(held)::bigint, sum(dead)::bigint,
       coalesce(extract(epoch from statement_timestamp() - min(oldest)), 0)::float8
from counted
group by queue order by queue";

/// What keeps the hot table from being vacuumed.
pub(crate) const VITALS: &str = "
select coalesce((select n_dead_tup from pg_stat_user_tables where relid = 'onefold.job'::regclass), 0)::float8,
       coalesce((select max(extract(epoch from clock_timestamp() - xact_start)) from pg_stat_activity
                 where backend_xmin is not null and pid <> pg_backend_pid()), 0)::float8";
