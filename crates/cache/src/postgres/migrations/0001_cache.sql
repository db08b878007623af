create schema if not exists onefold;

-- The shared level. Unlogged: it costs no WAL, is empty after a crash and on a promoted replica, and nothing is
-- lost by that, since a bucket without its sentinel begins a new epoch.
create unlogged table onefold.cache (
    bucket int2 not null,
    -- The empty key is the bucket's sentinel: its epoch, and in `tombstone` the bucket's floor.
    key text not null,
    epoch uuid not null,
    tombstone int8 not null,
    valid bool not null default false,
    payload bytea,
    stamp int8,
    stamp_is_replayed bool,
    expires_at timestamptz,
    stale_since timestamptz,
    lease uuid,
    lease_until timestamptz,
    keep_until timestamptz not null default 'infinity',
    primary key (bucket, key)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
