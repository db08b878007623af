create table links (
    id bigint generated always as identity primary key,
    code text not null unique,
    url text not null,
    expires_at timestamptz,
    created_at timestamptz not null default now()
);
create index links_expires_at on links (expires_at) where expires_at is not null;

create table clicks (
    id uuid primary key,
    code text not null,
    at timestamptz not null,
    referrer text,
    country text
);
create index clicks_code_at on clicks (code, at);

-- Kept by a job: how many links lead to a host.
create table hosts (
    host text primary key,
    links bigint not null
);
