//! Every statement of this engine beside those of Postgres' own, with the index it lives on.
//!
//! Rows of `job` that are under way as a message are there for the sake of their unique key alone: state 1, and
//! `locked_by` null. All others under way have no row.

use crate::postgres::sql::depths;

/// Which system this is.
pub(super) const SYSTEM: &str = "select cluster_id from onefold.system";

/// Takes due rows out, best priority first, for the relay: by a skip scan of `job_ready` over the queues, and in
/// each queue and priority from the beginning. `$2` are queues to leave alone.
pub const TAKE: &str = "
with recursive name (queue) as (
    (select queue from onefold.job where state = 0 order by queue limit 1)
    union all
    select (select queue from onefold.job where state = 0 and queue > name.queue order by queue limit 1)
    from name where name.queue is not null
), picked as materialized (
    select ready.at, ready.keyed
    from (
        select rank.priority, name.queue
        from unnest('{0,1,2,3}'::smallint[]) as rank (priority) cross join name
        where name.queue is not null and name.queue <> all ($2::text[])
        order by rank.priority, name.queue
    ) lane
    cross join lateral (
        select ctid as at, unique_key is not null as keyed
        from onefold.job
        where state = 0 and queue = lane.queue and priority = lane.priority and run_at <= statement_timestamp()
        order by run_at, id
        limit $1
        for update skip locked
    ) ready
    limit $1
), gone as (
    delete from onefold.job where ctid = any (array (select at from picked where not keyed)) returning *
), kept as (
    update onefold.job set state = 1, locked_by = null
    where ctid = any (array (select at from picked where keyed)) returning *
)
select id, run, attempt, attempts_max, kind_version, priority, queue, kind, args, run_at, created_at, unique_key,
       trace, session, deadline, errors
from (select * from gone union all select * from kept) taken";

/// How many microseconds until the next row is due. By `job_ready`, a probe for each queue and priority.
pub(super) const NEXT_DUE: &str = "
with recursive name (queue) as (
    (select queue from onefold.job where state = 0 order by queue limit 1)
    union all
    select (select queue from onefold.job where state = 0 and queue > name.queue order by queue limit 1)
    from name where name.queue is not null
)
select (extract(epoch from min(next.run_at) - clock_timestamp()) * 1000000)::bigint
from unnest('{0,1,2,3}'::smallint[]) as rank (priority)
cross join (select queue from name where queue is not null) as lane
cross join lateral (
    select run_at from onefold.job
    where state = 0 and queue = lane.queue and priority = rank.priority and run_at > statement_timestamp()
    order by run_at, id limit 1
) next";

/// Rows that are due and wait for the relay, as far as commits show.
pub(super) const WAITING: &str =
    "select count(*) from onefold.job where state = 0 and run_at <= statement_timestamp()";

/// Claims a batch for a worker whose lease is in force; no row where it is not.
pub const CLAIM: &str = "
with me as materialized (
    select id from onefold.worker where id = $1 and expires_at > clock_timestamp() for key share
)
insert into onefold.claim (worker, queue, carrier, jobs, letters)
select me.id, $2, $3, $4, $5 from me
returning id, statement_timestamp(), pg_current_wal_flush_lsn()";

/// Which of these jobs somebody wants cancelled. Asked after the claim has committed, as a cancellation asks for
/// claims after its own commit: so one of the two sees the other. By primary key.
pub const CANCELLED_AMONG: &str = "select id from onefold.job_cancelled where id = any ($1)";

/// What is known of jobs whose messages come again: losses with their errors, whether they have ended, whether a
/// worker holds them whose lease is in force.
pub(super) const PRIOR: &str = "
select job.id, coalesce(loss.losses, 0), loss.errors,
       exists (select from onefold.job_completed where id = job.id)
           or exists (select from onefold.claim where job.id = any (claim.ended)),
       exists (select from onefold.claim join onefold.worker on worker.id = claim.worker
               where worker.expires_at > clock_timestamp() and job.id = any (claim.jobs)
                 and job.id <> all (claim.ended) and job.id <> all (claim.freed))
from unnest($1::bigint[]) as job (id) left join onefold.job_loss loss on loss.id = job.id";

/// Notes in the claims of a worker what has ended and what is given back. Answers the claims that are still its
/// own. By primary key.
pub const END: &str = "
update onefold.claim
set ended = claim.ended || coalesce(part.ended, '{}'), freed = claim.freed || coalesce(part.freed, '{}')
from (
    select claim, array_agg(job) filter (where not free) as ended, array_agg(job) filter (where free) as freed
    from unnest($2::int[], $3::bigint[], $4::bool[]) as e (claim, job, free)
    group by claim
) part
where claim.id = part.claim and claim.worker = $1
returning claim.id";

/// Which of these executions were settled before: for a settlement whose commit nobody heard of.
pub(super) const SETTLED: &str = "
select job from onefold.claim cross join unnest(claim.ended || claim.freed) as job
where claim.worker = $1 and claim.id = any ($2) and job = any ($3)";

/// Removes claims all of whose jobs have ended and are acknowledged. It waits for no standby: one that comes back
/// costs nothing but a look. By primary key.
pub const CLOSE: &str = "
with quiet as materialized (select set_config('synchronous_commit', 'off', true))
delete from onefold.claim using quiet where id = any ($1) and worker = $2";

/// Puts jobs back among those that wait. By primary key, where the row of a unique one is still there.
pub(super) const PUT_BACK: &str = "
insert into onefold.job (id, run_at, created_at, run, attempt, attempts_max, kind_version, priority, state, queue,
                         kind, args, unique_key, trace, session, deadline, errors)
select j.id, coalesce(clock_timestamp() + (doc ->> 'delay_us')::bigint * interval '1 microsecond', j.run_at),
       j.created_at, j.run + 1, j.attempt, j.attempts_max, j.kind_version, j.priority,
       (doc ->> 'state')::smallint, j.queue, j.kind, j.args, j.unique_key, j.trace, j.session, j.deadline, j.errors
from unnest($1::json[]) as doc
cross join lateral json_to_record(doc -> 'job') as j (id bigint, run int, attempt int, attempts_max int,
    kind_version int, priority smallint, queue text, kind text, args json, run_at timestamptz,
    created_at timestamptz, unique_key text, trace text, session text, deadline text, errors jsonb)
on conflict (id) do update
set run_at = excluded.run_at, run = excluded.run, attempt = excluded.attempt, state = excluded.state,
    errors = excluded.errors, locked_by = null";

/// Makes dead letters.
pub(super) const DIE: &str = "
insert into onefold.job_dead (id, created_at, run_at, run, attempt, attempts_max, kind_version, priority, queue,
                              kind, args, unique_key, trace, session, deadline, errors)
select j.id, j.created_at, j.run_at, j.run + 1, j.attempt, j.attempts_max, j.kind_version, j.priority, j.queue,
       j.kind, j.args, j.unique_key, j.trace, j.session, j.deadline, j.errors
from unnest($1::json[]) as doc
cross join lateral json_to_record(doc -> 'job') as j (id bigint, run int, attempt int, attempts_max int,
    kind_version int, priority smallint, queue text, kind text, args json, run_at timestamptz,
    created_at timestamptz, unique_key text, trace text, session text, deadline text, errors jsonb)
on conflict (id) do nothing";

/// Writes jobs that are done or cancelled into the history.
pub(super) const RECORD: &str = "
insert into onefold.job_done (id, created_at, run_at, run_us, attempt, attempts_max, kind_version, priority,
                              cancelled, queue, kind, args, trace, errors)
select j.id, j.created_at, j.run_at, (doc ->> 'run_us')::bigint, j.attempt, j.attempts_max, j.kind_version,
       j.priority, (doc ->> 'cancelled')::bool, j.queue, j.kind, j.args, j.trace, j.errors
from unnest($1::json[]) as doc
cross join lateral json_to_record(doc -> 'job') as j (id bigint, run int, attempt int, attempts_max int,
    kind_version int, priority smallint, queue text, kind text, args json, run_at timestamptz,
    created_at timestamptz, trace text, errors jsonb)";

/// Frees the unique keys of jobs that have ended. By primary key, and whatever the row's state: the relay may not
/// have committed yet, and then this waits for it.
pub(super) const UNKEY: &str = "delete from onefold.job where id = any ($1)";

/// Forgets the losses of jobs that have ended or wait again. By primary key.
pub(super) const FORGET_LOSSES: &str = "delete from onefold.job_loss where id = any ($1)";

/// Forgets cancellations that were carried out. By primary key.
pub(super) const FORGET_CANCELLED: &str = "delete from onefold.job_cancelled where id = any ($1)";

/// Forgets completions that are noted in their claims. By primary key.
pub(super) const FORGET_COMPLETED: &str = "delete from onefold.job_completed where id = any ($1)";

/// Completes one job in its handler's own transaction, if its claim is there and has not settled it. A share of
/// the claim's row: handlers of one batch do not wait for each other, and a rescue waits for them.
pub(super) const COMPLETE_IN: &str = "
with mine as materialized (
    select id from onefold.claim
    where id = $2 and $1 = any (jobs) and $1 <> all (ended) and $1 <> all (freed)
    for key share
)
insert into onefold.job_completed (id, claim) select $1, mine.id from mine
on conflict (id) do nothing";

/// The jobs of a worker that somebody wants cancelled.
pub(super) const CANCELLED_OF: &str = "
select id from onefold.job_cancelled
where exists (select from onefold.claim
              where claim.worker = $1 and job_cancelled.id = any (claim.jobs)
                and job_cancelled.id <> all (claim.ended) and job_cancelled.id <> all (claim.freed))";

/// Takes over the claims of workers that are no more: their rows are deleted before, so that nothing that was
/// begun under them is under way.
pub(super) const TAKE_OVER: &str = "
delete from onefold.claim
where not exists (select from onefold.worker where worker.id = claim.worker)
returning id, queue, carrier, jobs, letters, ended, freed";

/// The same for one worker that resigns.
pub(super) const TAKE_BACK: &str = "
delete from onefold.claim where worker = $1 returning id, queue, carrier, jobs, letters, ended, freed";

/// Which of these jobs were completed in their handler's transaction. By primary key.
pub(super) const COMPLETED_AMONG: &str = "delete from onefold.job_completed where id = any ($1) returning id";

/// Notes attempts that were lost.
pub(super) const LOSE: &str = "
insert into onefold.job_loss as l (id, losses, errors)
select lost.id, 1, jsonb_build_array(
    jsonb_build_object('at', clock_timestamp(), 'attempt', lost.attempt, 'error', $3::text))
from unnest($1::bigint[], $2::int[]) as lost (id, attempt)
on conflict (id) do update
set losses = l.losses + 1, errors = jsonb_path_query_array(l.errors || excluded.errors, '$[last - 4 to last]')";

/// What was noted of lost attempts. By primary key.
pub(super) const LOSSES: &str = "select id, errors from onefold.job_loss where id = any ($1)";

/// Frees rows that a worker of the Postgres engine held before this engine took over. By `job_locked`.
pub(super) const ORPHANS: &str = "
update onefold.job set state = 0, run = run + 1, locked_by = null
where state = 1 and locked_by is not null
  and not exists (select from onefold.worker where worker.id = job.locked_by)
returning queue";

/// Asks for the end of a job under way.
pub(super) const ASK_CANCEL: &str =
    "insert into onefold.job_cancelled (id) values ($1) on conflict (id) do nothing";

/// Whether somebody holds a job.
pub(super) const IS_CLAIMED: &str = "
select exists (select from onefold.claim where $1 = any (jobs) and $1 <> all (ended) and $1 <> all (freed))";

/// What workers hold.
pub(super) const CLAIMS: &str = "
select claim.queue, worker.node, claim.jobs, claim.letters, claim.ended, claim.freed
from onefold.claim left join onefold.worker on worker.id = claim.worker";

/// What handlers' commits have completed, and no claim says yet.
pub(super) const COMPLETED: &str = "
select claim.queue, job_completed.id
from onefold.job_completed join onefold.claim on claim.id = job_completed.claim";

/// Forgets cancellations of jobs that ended before they were carried out.
pub(super) const PRUNE_CANCELLED: &str =
    "delete from onefold.job_cancelled where at < clock_timestamp() - interval '1 day'";

/// Forgets completions whose claims are gone: all of those are acknowledged.
pub(super) const PRUNE_COMPLETED: &str = "
delete from onefold.job_completed
where not exists (select from onefold.claim where claim.id = job_completed.claim)";

/// Jobs that wait, for people. By primary key; filters are tested row by row.
pub(super) const LIST: &str = "
select * from (
    select job.id, queue, kind, kind_version, priority,
           case state when 1 then 'running' when 2 then 'held'
                else case when attempt > 0 then 'retrying'
                          when run_at > statement_timestamp() then 'scheduled' else 'available' end
           end as state,
           attempt, attempts_max, run_at, created_at, null::timestamptz as ended_at, null::text as node, args,
           unique_key, trace, errors
    from onefold.job
    where state <> 1 or locked_by is not null
) job
where ($1::bigint is null or id = $1) and ($2::text is null or queue = $2) and ($3::text is null or kind = $3)
  and ($4::text is null or state = $4) and ($5::bigint is null or id > $5)
order by id limit $6";

/// How many jobs each queue has in tables. What is under way has a row for its unique key alone.
pub(super) const DEPTHS: &str = depths!("state = 1 and locked_by is not null");
