-- For engines that carry due jobs elsewhere, as NATS JetStream does. A job that waits is a row of job; one that is
-- under way is a message there; what is here says who holds it, and what a message cannot: that never changes.

-- A batch of messages that a worker holds: the fence of its settlements. The arrays of what has ended and of what
-- was given back only grow, so that a batch costs one row however many jobs it has.
create table onefold.claim (
    id         integer generated always as identity (cycle) primary key,
    worker     bigint not null,
    claimed_at timestamptz not null default statement_timestamp(),
    queue      text not null,
    carrier    text not null,
    jobs       bigint[] not null,
    letters    text[] not null,
    ended      bigint[] not null default '{}',
    freed      bigint[] not null default '{}'
) with (fillfactor = 50, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);
comment on column onefold.claim.carrier is 'where the acknowledgements of these messages go; the rest stands in letters';
comment on column onefold.claim.letters is 'for each job: attempt, attempts_max, sequence, the rest of its address';
comment on column onefold.claim.ended is 'settled, by a commit; their acknowledgements may still be owed';
comment on column onefold.claim.freed is 'given back: delivered again, no attempt counted';
create index claim_worker on onefold.claim (worker);

-- Attempts of jobs under way that were lost with their worker.
create table onefold.job_loss (
    id     bigint primary key,
    losses integer not null,
    errors jsonb not null
);

-- Jobs under way that somebody wants cancelled.
create table onefold.job_cancelled (
    id bigint primary key,
    at timestamptz not null default statement_timestamp()
);

-- Jobs that were completed in their handler's transaction, until that is noted in their claim.
create table onefold.job_completed (
    id    bigint primary key,
    claim integer not null
);
