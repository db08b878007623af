create schema if not exists onefold;

-- One row, which every writer updates first: so revisions commit in their order, and a watcher that has seen
-- revision n has seen everything below it. A sequence would not do: it lost 21 % of the events to a watcher.
create table onefold.revision (
    id boolean primary key default true check (id),
    current bigint not null default 0,
    compacted bigint not null default 0
) with (fillfactor = 50);
insert into onefold.revision default values;

create table onefold.kv (
    key text collate "C" primary key,
    value jsonb not null,
    create_revision bigint not null,
    revision bigint not null,
    version bigint not null,
    lease text collate "C"
);
create index kv_lease on onefold.kv (lease) where lease is not null;

-- What watchers read, who did what and why, and what a rollback goes back to. A null value is a tombstone.
create table onefold.kv_log (
    revision bigint not null,
    key text collate "C" not null,
    value jsonb,
    previous jsonb,
    create_revision bigint not null,
    lease text collate "C",
    actor text not null,
    reason text,
    at timestamptz not null default clock_timestamp(),
    primary key (revision, key)
);
create index kv_log_key on onefold.kv_log (key, revision);

-- `token` is in a unique index so that a takeover, which changes it, conflicts with `for key share`, and a
-- renewal, which does not, passes.
create table onefold.lease (
    name text collate "C" primary key,
    holder text not null,
    token bigint not null,
    timeline bigint not null,
    ttl_ms bigint not null,
    expires_at timestamptz not null,
    report bigint not null default 0,
    unique (name, token)
) with (fillfactor = 50);
create sequence onefold.lease_token;
