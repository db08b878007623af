//! What people ask of jobs.

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
pub(crate) const LIST: &str = list!("true");
/// By primary key.
pub(crate) const LIST_AVAILABLE: &str =
    list!("state = 0 and attempt = 0 and run_at <= statement_timestamp()");
/// By primary key: where few of many wait for their time, it steps over the many.
pub(crate) const LIST_SCHEDULED: &str = list!("state = 0 and attempt = 0 and run_at > statement_timestamp()");
/// By `job_retrying`.
pub const LIST_RETRYING: &str = list!("state = 0 and attempt > 0");
/// By `job_locked`.
pub const LIST_RUNNING: &str = list!("state = 1");
/// By `job_held`.
pub const LIST_HELD: &str = list!("state = 2");

/// Dead letters for people. By primary key.
pub(crate) const LIST_DEAD: &str = "
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

pub(crate) const LIST_ENDED: &str = list_done!("true");
pub(crate) const LIST_DONE: &str = list_done!("not cancelled");
pub(crate) const LIST_CANCELLED: &str = list_done!("cancelled");

/// Makes a waiting or held job due now. By primary key.
pub(crate) const RETRY: &str = "
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
pub(crate) const CANCEL_RUNNING: &str = "update onefold.job set cancelled = true where id = $1 and state = 1";

/// Brings dead letters back. By primary key. One whose key is taken stays; if that happens meanwhile, the whole
/// statement fails and nothing is lost.
pub(crate) const REPLAY: &str = "
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
