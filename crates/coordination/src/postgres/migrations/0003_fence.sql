-- The greatest token seen for each lease, where another engine keeps the leases: see `Store::fence`.
create table onefold.fence (
    name text collate "C" primary key,
    token bigint not null,
    raised_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
