//! What became of executions.

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
pub(crate) const DONE_IN: &str = "delete from onefold.job where id = $1 and run = $2";

/// As [`DONE_IN`], into the history.
pub(crate) const RECORD_IN: &str = "
with gone as (delete from onefold.job where id = $1 and run = $2 returning *)
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select id, created_at, run_at, $3, attempt, attempts_max, kind_version, priority, false, queue, kind, args,
       trace, errors
from gone";

/// The inbox's row of a message. By its primary key.
pub(crate) const ONCE: &str = "
insert into onefold.inbox (consumer, message_id, message_day) values ($1, $2, $3) on conflict do nothing";
