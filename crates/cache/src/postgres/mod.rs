//! The shared level in an unlogged table of the primary.
//!
//! A look costs what a read by primary key costs, and it costs it on the primary: hence only what is dear to make
//! goes there. Its other worth is the lease, which lets one node load for all.

mod sql;

use crate::decision::{LEASE_SECONDS, LeaseId, TOMBSTONE_SECONDS};
use crate::key::{BUCKETS, CacheKey};
use crate::l2::{Capabilities, Copied, Error, Fill, Got, L2, Want};
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use onefold_database::tokio_postgres::Row;
use onefold_database::{Database, Evidence, Migration, MigrationSet, Params, Position, Stamp};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The schema that this crate needs.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "cache",
    migrations: &[
        Migration { name: "0001_cache", sql: include_str!("migrations/0001_cache.sql") },
        Migration { name: "0002_shown", sql: include_str!("migrations/0002_shown.sql") },
    ],
};

/// TOAST takes a gigabyte; a value of more than a few megabytes is no cache entry.
const VALUE_BYTES_MAX: usize = 8 << 20;
/// Buckets swept at once: a sixteenth.
const SWEEP_BUCKETS: u16 = BUCKETS / 16;
/// How often a look and a lease may cross with others' before the key counts as busy.
const CROSSINGS_MAX: usize = 3;

/// The engine.
#[derive(Debug)]
pub struct Postgres {
    database: Database,
    sweep_from: AtomicU16,
}

impl Postgres {
    /// The shared level beside this database's data.
    pub fn new(database: Database) -> Self {
        // Nodes begin at different places, so that they do not all sweep the same rows.
        let sweep_from = AtomicU16::new(rand::random_range(0..BUCKETS / SWEEP_BUCKETS) * SWEEP_BUCKETS);
        Self { database, sweep_from }
    }

    async fn look(&self, key: &CacheKey) -> Result<Option<Found>, Error> {
        let (bucket, text) = place(key);
        let rows = self.database.shared().await?.query(sql::LOOK, &[&bucket, &text]).await?;
        rows.first().map(Found::read).transpose()
    }

    async fn lease(&self, key: &CacheKey, want: Want) -> Result<Option<(LeaseId, Lsn)>, Error> {
        let (bucket, text) = place(key);
        let (lease, epoch) = (LeaseId::random(), Uuid::new_v4());
        let refresh = want == Want::Refresh;
        let (lease_seconds, keep_seconds) = (f64::from(LEASE_SECONDS), f64::from(TOMBSTONE_SECONDS));
        let shared = self.database.shared().await?;
        let granted: Option<i64> = shared
            .query_opt(
                sql::LEASE,
                &[&bucket, &text, &lease.0, &refresh, &epoch, &lease_seconds, &keep_seconds],
            )
            .await?;
        Ok(granted.map(|tombstone| (lease, Lsn(tombstone.cast_unsigned()))))
    }

    async fn get(&self, key: &CacheKey, want: Want) -> Result<Got, Error> {
        let mut stale = None;
        for _ in 0..CROSSINGS_MAX {
            match self.look(key).await? {
                Some(Found { copied: Some(copied), valid: true, .. }) if want == Want::Value => {
                    return Ok(Got::Hit(copied));
                }
                Some(Found { leased: true, copied, .. }) => return Ok(Got::Busy { stale: copied }),
                Some(Found { copied, .. }) => stale = copied,
                None => stale = None,
            }
            if let Some((lease, need)) = self.lease(key, want).await? {
                return Ok(Got::Leased { lease, need, stale });
            }
        }
        Ok(Got::Busy { stale })
    }

    async fn fill(&self, key: &CacheKey, lease: LeaseId, fill: Fill<'_>) -> Result<bool, Error> {
        let (bucket, text) = place(key);
        let (stamp, is_replayed) = match fill.evidence.stamp {
            Stamp::Replayed(lsn) => (lsn.0.cast_signed(), true),
            Stamp::Flushed(lsn) => (lsn.0.cast_signed(), false),
        };
        let Position { timeline, lsn } = fill.evidence.shown;
        let (timeline, shown) = (timeline.cast_signed(), lsn.0.cast_signed());
        let (ttl, keep) = (fill.ttl.as_secs_f64(), fill.keep_stale.as_secs_f64());
        let params: Params<'_> =
            &[&bucket, &text, &lease.0, &fill.payload, &stamp, &is_replayed, &shown, &timeline, &ttl, &keep];
        let stored = self.database.shared().await?.execute(sql::FILL, params).await?;
        Ok(stored == 1)
    }

    async fn invalidate(&self, keys: &[CacheKey], at: Lsn) -> Result<Vec<CacheKey>, Error> {
        // One statement may touch a row only once.
        let mut sorted: Vec<&CacheKey> = keys.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let (buckets, texts): (Vec<i16>, Vec<&str>) = sorted.into_iter().map(place).unzip();
        let keep = f64::from(TOMBSTONE_SECONDS);
        let shared = self.database.shared().await?;
        shared.execute(sql::INVALIDATE, &[&buckets, &texts, &at.0.cast_signed(), &keep]).await?;
        Ok(Vec::new())
    }
}

impl L2 for Postgres {
    fn capabilities(&self) -> Capabilities {
        // The table is lost as a whole, in a crash of its server, or not at all.
        Capabilities { keeps_invalidations: true, fails_in_parts: false, value_bytes_max: VALUE_BYTES_MAX }
    }

    fn get<'a>(&'a self, key: &'a CacheKey, want: Want) -> BoxFuture<'a, Result<Got, Error>> {
        Box::pin(self.get(key, want))
    }

    fn fill<'a>(
        &'a self,
        key: &'a CacheKey,
        lease: LeaseId,
        fill: Fill<'a>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.fill(key, lease, fill))
    }

    fn release<'a>(&'a self, key: &'a CacheKey, lease: LeaseId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let (bucket, text) = place(key);
            self.database.shared().await?.execute(sql::RELEASE, &[&bucket, &text, &lease.0]).await?;
            Ok(())
        })
    }

    fn invalidate<'a>(
        &'a self,
        keys: &'a [CacheKey],
        at: Lsn,
    ) -> BoxFuture<'a, Result<Vec<CacheKey>, Error>> {
        Box::pin(self.invalidate(keys, at))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            let from = self.sweep_from.load(Ordering::Relaxed);
            self.sweep_from.store((from + SWEEP_BUCKETS) % BUCKETS, Ordering::Relaxed);
            let (from, to) = (from.cast_signed(), (from + SWEEP_BUCKETS).cast_signed());
            let gone: i64 = self.database.shared().await?.query_one(sql::SWEEP, &[&from, &to]).await?;
            Ok(gone.unsigned_abs())
        })
    }
}

fn place(key: &CacheKey) -> (i16, &str) {
    (key.bucket().cast_signed(), key.text())
}

/// A row as a look found it.
struct Found {
    valid: bool,
    leased: bool,
    copied: Option<Copied>,
}

impl Found {
    fn read(row: &Row) -> Result<Self, Error> {
        let read = || -> Result<Self, onefold_database::tokio_postgres::Error> {
            let valid = row.try_get::<_, Option<bool>>(0)?.unwrap_or(false);
            let leased = row.try_get::<_, Option<bool>>(1)?.unwrap_or(false);
            let copied = match (row.try_get::<_, Option<Vec<u8>>>(2)?, evidence(row)?) {
                (Some(payload), Some(evidence)) => {
                    let remaining = if valid { seconds(row.try_get(7)?) } else { Duration::ZERO };
                    let stale_for = if valid { Duration::ZERO } else { seconds(row.try_get(8)?) };
                    Some(Copied { payload, evidence, remaining, stale_for })
                }
                _ => None,
            };
            Ok(Self { valid, leased, copied })
        };
        read().map_err(|error| Error::Database(error.into()))
    }
}

/// What a value's load had seen; none where the row has no value.
fn evidence(row: &Row) -> Result<Option<Evidence>, onefold_database::tokio_postgres::Error> {
    let lsn = |column| Ok(row.try_get::<_, Option<i64>>(column)?.map(|lsn| Lsn(lsn.cast_unsigned())));
    let (stamp, is_replayed) = (lsn(3)?, row.try_get::<_, Option<bool>>(4)?);
    let (shown, timeline) = (lsn(5)?, row.try_get::<_, Option<i32>>(6)?);
    let stamp = stamp
        .zip(is_replayed)
        .map(|(lsn, is_replayed)| if is_replayed { Stamp::Replayed(lsn) } else { Stamp::Flushed(lsn) });
    let shown = shown.zip(timeline);
    let shown = shown.map(|(lsn, timeline)| Position { timeline: timeline.cast_unsigned(), lsn });
    Ok(stamp.zip(shown).map(|(stamp, shown)| Evidence { stamp, shown }))
}

fn seconds(value: Option<f64>) -> Duration {
    Duration::try_from_secs_f64(value.unwrap_or(0.0)).unwrap_or(Duration::ZERO)
}
