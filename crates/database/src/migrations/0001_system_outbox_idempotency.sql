-- What makes this cluster one system: its id, and the key that signs session tokens. Made here and never in a
-- template, since a copied cluster repeats Postgres' own system identifier.
create table onefold.system (
    only_row bool primary key default true check (only_row),
    cluster_id uuid not null default gen_random_uuid(),
    -- Two random UUIDs: 244 bits from the server's cryptographic source.
    signing_key bytea not null
        default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    created_at timestamptz not null default now()
);
insert into onefold.system default values;

create table onefold.outbox (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    subject text not null,
    payload bytea not null,
    headers jsonb not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    acknowledged bool not null default false
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0, fillfactor = 85);
create index outbox_xid on onefold.outbox (subject, xid);
create index outbox_unacknowledged on onefold.outbox (subject, id) where not acknowledged;
create index outbox_created_at on onefold.outbox (created_at);

create table onefold.idempotency (
    scope text not null,
    key text not null,
    fingerprint bytea not null,
    answer bytea,
    records jsonb not null default '[]',
    created_at timestamptz not null default now(),
    primary key (scope, key)
);
create index idempotency_created_at on onefold.idempotency (created_at);
