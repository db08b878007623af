-- How much a value can show at most: what a session's token must cover once it has seen it. Of the values that are
-- there it is not known, and so they go; every bucket begins a new epoch.
truncate onefold.cache;
alter table onefold.cache
    add column shown int8,
    add column shown_timeline int4;
