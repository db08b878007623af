//! Storing jobs.

/// The columns of a new job, in the order of the parameters of [`ENQUEUE_ONE`] and [`ENQUEUE_MANY`].
///
/// `statement_timestamp()`, not `now()`: in a business transaction `now()` is its beginning, which lies behind
/// the marks of the fetchers by the time it commits.
pub const ENQUEUE_ONE: &str = "
insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args, unique_key,
                         trace, session, deadline)
values ($1, $2, $3, $4,
        greatest(coalesce($5::timestamptz, statement_timestamp()), 'epoch') + $6::bigint * interval '1 microsecond',
        $7, $8, $9, $10, $11, $12)
on conflict (unique_key) where unique_key is not null do nothing
returning id, unique_key";

/// As [`ENQUEUE_ONE`], from arrays of one length.
pub const ENQUEUE_MANY: &str = "
insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args, unique_key,
                         trace, session, deadline)
select queue, kind, kind_version, priority,
       greatest(coalesce(at, statement_timestamp()), 'epoch') + delay_us * interval '1 microsecond',
       attempts_max, args, unique_key, trace, session, deadline
from unnest($1::text[], $2::text[], $3::int[], $4::smallint[], $5::timestamptz[], $6::bigint[], $7::int[],
            $8::json[], $9::text[], $10::text[], $11::text[], $12::text[])
     as job (queue, kind, kind_version, priority, at, delay_us, attempts_max, args, unique_key, trace,
             session, deadline)
on conflict (unique_key) where unique_key is not null do nothing
returning id, unique_key";

/// Claims a key for a window: a row if it was free. The row is the lock, so two claims never both succeed.
pub(crate) const CLAIM_WINDOW: &str = "
insert into onefold.job_window as w (key, expires_at)
values ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
on conflict (key) do update set expires_at = excluded.expires_at
where w.expires_at <= clock_timestamp()
  and not exists (select from onefold.job where unique_key = w.key)
returning key";

/// The living holders of keys. By `job_unique`.
pub(crate) const HOLDERS: &str = "select id, unique_key from onefold.job where unique_key = any($1::text[])";
