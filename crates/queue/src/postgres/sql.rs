//! Every statement of the Postgres engine, with the index it lives on.
//!
//! Statements of the hot path touch `job` by `job_ready` (fetch) or by primary key (settle), never by a scan.
//! `run` is the fence: each fetch raises it, and so does whatever takes a job from its worker, so that
//! `(id, run)` names one execution for ever. A condition on `state` beside it would only tempt the planner to
//! walk the partial index of all running jobs.
#![cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "benches and tests read them"))]

/// The columns of a new job, in the order of the parameters of [`ENQUEUE_ONE`] and [`ENQUEUE_MANY`].
///
/// `statement_timestamp()`, not `now()`: in a business transaction `now()` is its beginning, which lies behind
/// the marks of the fetchers by the time it commits.
pub const ENQUEUE_ONE: &str = "
insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args, unique_key,
                         trace, session, deadline)
values ($1, $2, $3, $4,
        greatest(coalesce($5::timestamptz, statement_timestamp()), 'epoch') + $6::bigint * interval '1 microsecond',
        $7, $8, $9, $10, $11, $12)
on conflict (unique_key) where unique_key is not null do nothing
returning id, unique_key";

/// As [`ENQUEUE_ONE`], from arrays of one length.
pub const ENQUEUE_MANY: &str = "
insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args, unique_key,
                         trace, session, deadline)
select queue, kind, kind_version, priority,
       greatest(coalesce(at, statement_timestamp()), 'epoch') + delay_us * interval '1 microsecond',
       attempts_max, args, unique_key, trace, session, deadline
from unnest($1::text[], $2::text[], $3::int[], $4::smallint[], $5::timestamptz[], $6::bigint[], $7::int[],
            $8::json[], $9::text[], $10::text[], $11::text[], $12::text[])
     as job (queue, kind, kind_version, priority, at, delay_us, attempts_max, args, unique_key, trace,
             session, deadline)
on conflict (unique_key) where unique_key is not null do nothing
returning id, unique_key";

/// Claims a key for a window: a row if it was free. The row is the lock, so two claims never both succeed.
pub(super) const CLAIM_WINDOW: &str = "
insert into onefold.job_window as w (key, expires_at)
values ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
on conflict (key) do update set expires_at = excluded.expires_at
where w.expires_at <= clock_timestamp()
  and not exists (select from onefold.job where unique_key = w.key)
returning key";

/// The living holders of keys. By `job_unique`.
pub(super) const HOLDERS: &str = "select id, unique_key from onefold.job where unique_key = any($1::text[])";

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

/// Completes a batch without history. By primary key.
///
/// This and the next three find their rows in a subquery that the planner cannot flatten, so that it looks up
/// each id, whatever it believes of the table's size: with a plain join a plan made while the queue was empty
/// walks the whole index. The worker is compared again on the newest version of the row, in case a rescue took
/// the job between the lookup and the lock.
pub const DONE: &str = "
with picked as materialized (
    select found.at
    from unnest($2::bigint[], $3::int[]) as ended (id, run)
    cross join lateral (
        select ctid as at from onefold.job where job.id = ended.id and job.run = ended.run offset 0
    ) found
)
delete from onefold.job using picked
where job.ctid = picked.at and job.locked_by = $1
returning job.id";

/// Completes or cancels a batch into the history. By primary key.
pub const RECORD: &str = "
with picked as materialized (
    select found.at, ended.run_us, ended.cancelled
    from unnest($2::bigint[], $3::int[], $4::bigint[], $5::bool[]) as ended (id, run, run_us, cancelled)
    cross join lateral (
        select ctid as at from onefold.job where job.id = ended.id and job.run = ended.run offset 0
    ) found
), gone as (
    delete from onefold.job using picked
    where job.ctid = picked.at and job.locked_by = $1
    returning job.*, picked.run_us, picked.cancelled as was_cancelled
)
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority, was_cancelled, queue,
       kind, args, trace, errors
from gone
returning id";

/// Gives a batch back: to be retried, snoozed, released or held. By primary key.
///
/// No delay keeps `run_at`; an error is appended, and the last five are kept.
pub const PUT_BACK: &str = "
with picked as materialized (
    select found.at, ended.state, ended.delay_us, ended.uncounted, ended.error
    from unnest($2::bigint[], $3::int[], $4::smallint[], $5::bigint[], $6::int[], $7::jsonb[]) as ended (id, run, state, delay_us, uncounted, error)
    cross join lateral (
        select ctid as at from onefold.job where job.id = ended.id and job.run = ended.run offset 0
    ) found
)
update onefold.job
set state = picked.state, run = job.run + 1, locked_by = null, attempt = attempt - picked.uncounted,
    run_at = coalesce(clock_timestamp() + picked.delay_us * interval '1 microsecond', run_at),
    errors = case when picked.error is null then errors else
        jsonb_path_query_array(coalesce(errors, '[]') || picked.error, '$[last - 4 to last]') end
from picked
where job.ctid = picked.at and job.locked_by = $1
returning job.id";

/// Moves a batch to the dead letters. By primary key.
pub const DIE: &str = "
with picked as materialized (
    select found.at, ended.error
    from unnest($2::bigint[], $3::int[], $4::jsonb[]) as ended (id, run, error)
    cross join lateral (
        select ctid as at from onefold.job where job.id = ended.id and job.run = ended.run offset 0
    ) found
), gone as (
    delete from onefold.job using picked
    where job.ctid = picked.at and job.locked_by = $1
    returning job.*, picked.error
)
insert into onefold.job_dead (id, created_at, run_at, run, attempt, attempts_max, kind_version, priority,
                              queue, kind, args, unique_key, trace, session, deadline, errors)
select id, created_at, run_at, run, attempt, attempts_max, kind_version, priority, queue, kind, args,
       unique_key, trace, session, deadline,
       jsonb_path_query_array(coalesce(errors, '[]') || error, '$[last - 4 to last]')
from gone
returning id";

/// Completes one job in its handler's own transaction. By primary key.
pub(super) const DONE_IN: &str = "delete from onefold.job where id = $1 and run = $2";

/// As [`DONE_IN`], into the history.
pub(super) const RECORD_IN: &str = "
with gone as (delete from onefold.job where id = $1 and run = $2 returning *)
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select id, created_at, run_at, $3, attempt, attempts_max, kind_version, priority, false, queue, kind, args,
       trace, errors
from gone";

/// The inbox's row of a message. By its primary key.
pub(super) const ONCE: &str = "
insert into onefold.inbox (consumer, message_id, message_day) values ($1, $2, $3) on conflict do nothing";

/// A new worker's row.
pub const REGISTER: &str = "
insert into onefold.worker (boot, node, zone, build, expires_at)
values ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
returning id";

/// Extends a lease. It waits for no standby: with both gone, workers must not lose their leases.
pub(super) const RENEW: &str = "
with quiet as materialized (select set_config('synchronous_commit', 'off', true))
update onefold.worker set expires_at = clock_timestamp() + $2::bigint * interval '1 microsecond'
from quiet where id = $1
returning id";

/// The jobs of a worker that somebody wants cancelled. By `job_locked`.
pub(super) const CANCELLED: &str =
    "select id from onefold.job where locked_by = $1 and state = 1 and cancelled";

/// Removes a worker's row: waits for its fetches, and bars later ones.
pub(crate) const RESIGN: &str = "delete from onefold.worker where id = $1";

/// Releases all that a resigned worker held, attempt not counted. By `job_locked`.
pub(super) const RELEASE: &str = "
update onefold.job set state = 0, run = run + 1, locked_by = null, attempt = attempt - 1 where locked_by = $1 and state = 1";

/// Takes up held jobs of known kinds. By `job_held`.
pub const UNPARK: &str = "
update onefold.job set state = 0
from unnest($1::text[], $2::int[]) as known (kind, version)
where job.state = 2 and job.kind = known.kind and job.kind_version <= known.version
returning job.queue";

/// The workers whose lease has ended. The condition is tested again once a renewal in progress has ended.
pub(crate) const EXPIRE: &str =
    "delete from onefold.worker where expires_at <= clock_timestamp() returning id";

/// Dead letters among the running jobs without a worker: their last attempt is spent. By `job_locked`.
pub(super) const ORPHANS_DIE: &str = "
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
pub(super) const ORPHANS_CANCELLED: &str = "
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
pub(super) const ORPHANS_FREED: &str = "
update onefold.job
set state = 0, run = run + 1, locked_by = null,
    errors = jsonb_path_query_array(coalesce(errors, '[]') || jsonb_build_object(
        'at', clock_timestamp(), 'attempt', attempt, 'error', $1::text), '$[last - 4 to last]')
where state = 1 and not exists (select from onefold.worker where worker.id = job.locked_by)
returning queue";

/// Makes a schedule known; it fires from the next tick on.
pub(super) const SCHEDULE: &str =
    "insert into onefold.cron (name, last_tick) values ($1, $2) on conflict do nothing";

/// The last tick of a schedule.
pub(super) const LAST_TICK: &str = "select last_tick from onefold.cron where name = $1";

/// Claims a tick: of two leaders one gets it.
pub(super) const FIRE: &str = "update onefold.cron set last_tick = $2 where name = $1 and last_tick < $2";

/// Forgets windows that have ended. By `job_window_expires`.
pub(super) const PRUNE_WINDOWS: &str = "delete from onefold.job_window where expires_at <= clock_timestamp()";

/// The partitions of a table.
pub(super) const PARTITIONS: &str = "
select child.relname::text
from pg_inherits join pg_class child on child.oid = inhrelid
where inhparent = ('onefold.' || $1)::regclass";

/// Today by the server, and the day of the oldest job that may still be delivered again.
pub(super) const OLDEST_DAY: &str = "
select (clock_timestamp() at time zone 'utc')::date,
       (least((select min(created_at) from onefold.job), (select min(created_at) from onefold.job_dead),
              clock_timestamp()) at time zone 'utc')::date";

/// Live jobs for people, in the states that the condition admits. The condition stands on columns, not on the state's
/// word, so that a partial index can serve it.
macro_rules! list {
    ($condition:literal) => {
        concat!(
            "
select job.id, queue, kind, kind_version, priority,
       case state when 1 then 'running' when 2 then 'held'
            else case when attempt > 0 then 'retrying'
                      when run_at > statement_timestamp() then 'scheduled' else 'available' end
       end as state,
       attempt, attempts_max, run_at, created_at, null::timestamptz as ended_at, worker.node, args, unique_key,
       trace, errors
from onefold.job left join onefold.worker on worker.id = job.locked_by
where ",
            $condition,
            " and ($1::bigint is null or job.id = $1) and ($2::text is null or queue = $2)
  and ($3::text is null or kind = $3) and ($4::bigint is null or job.id > $4)
order by job.id limit $5"
        )
    };
}

/// By primary key; filters are tested row by row.
pub(super) const LIST: &str = list!("true");
/// By primary key.
pub(super) const LIST_AVAILABLE: &str =
    list!("state = 0 and attempt = 0 and run_at <= statement_timestamp()");
/// By primary key: where few of many wait for their time, it steps over the many.
pub(super) const LIST_SCHEDULED: &str = list!("state = 0 and attempt = 0 and run_at > statement_timestamp()");
/// By `job_retrying`.
pub const LIST_RETRYING: &str = list!("state = 0 and attempt > 0");
/// By `job_locked`.
pub const LIST_RUNNING: &str = list!("state = 1");
/// By `job_held`.
pub const LIST_HELD: &str = list!("state = 2");

/// Dead letters for people. By primary key.
pub(super) const LIST_DEAD: &str = "
select id, queue, kind, kind_version, priority, 'dead' as state, attempt, attempts_max, run_at, created_at,
       died_at as ended_at, null::text as node, args, unique_key, trace, errors
from onefold.job_dead
where ($1::bigint is null or id = $1) and ($2::text is null or queue = $2) and ($3::text is null or kind = $3)
  and ($4::bigint is null or id > $4)
order by id limit $5";

/// History for people. By `job_done_id`.
macro_rules! list_done {
    ($condition:literal) => {
        concat!(
            "
select id, queue, kind, kind_version, priority, case when cancelled then 'cancelled' else 'done' end as state,
       attempt, attempts_max, run_at, created_at, finished_at as ended_at, null::text as node, args,
       null::text as unique_key, trace, errors
from onefold.job_done
where ",
            $condition,
            " and ($1::bigint is null or id = $1) and ($2::text is null or queue = $2)
  and ($3::text is null or kind = $3) and ($4::bigint is null or id > $4)
order by id limit $5"
        )
    };
}

pub(super) const LIST_ENDED: &str = list_done!("true");
pub(super) const LIST_DONE: &str = list_done!("not cancelled");
pub(super) const LIST_CANCELLED: &str = list_done!("cancelled");

/// Makes a waiting or held job due now. By primary key.
pub(super) const RETRY: &str = "
update onefold.job set state = 0, run_at = statement_timestamp()
where id = $1 and state <> 1
returning queue";

/// Ends a job that waits or is held. By primary key.
pub(crate) const CANCEL_WAITING: &str = "
with gone as (delete from onefold.job where id = $1 and state <> 1 returning *)
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select id, created_at, run_at, 0, attempt, attempts_max, kind_version, priority, true, queue, kind, args,
       trace, errors
from gone";

/// Asks for the end of a running job. By primary key.
pub(super) const CANCEL_RUNNING: &str = "update onefold.job set cancelled = true where id = $1 and state = 1";

/// Brings dead letters back. By primary key. One whose key is taken stays; if that happens meanwhile, the whole
/// statement fails and nothing is lost.
pub(super) const REPLAY: &str = "
with chosen as materialized (
    select distinct on (coalesce(unique_key, id::text)) id
    from onefold.job_dead dead
    where ($1::bigint is null or id = $1) and ($2::text is null or queue = $2)
      and ($3::text is null or kind = $3) and ($4::bigint is null or id > $4)
      and not exists (select from onefold.job where job.unique_key = dead.unique_key)
    order by coalesce(unique_key, id::text), id
    limit $5
), gone as (
    delete from onefold.job_dead where id = any (array (select id from chosen)) returning *
)
insert into onefold.job (id, run_at, created_at, run, attempt, attempts_max, kind_version, priority, queue,
                         kind, args, unique_key, trace, session, deadline, errors)
select id, statement_timestamp(), created_at, run, 0, attempts_max, kind_version, priority, queue, kind, args,
       unique_key, trace, session, deadline, errors
from gone
returning id, queue";

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
pub(super) const DEPTHS: &str = depths!("state = 1");

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
pub(super) const VITALS: &str = "
select coalesce((select n_dead_tup from pg_stat_user_tables where relid = 'onefold.job'::regclass), 0)::float8,
       coalesce((select max(extract(epoch from clock_timestamp() - xact_start)) from pg_stat_activity
                 where backend_xmin is not null and pid <> pg_backend_pid()), 0)::float8";
