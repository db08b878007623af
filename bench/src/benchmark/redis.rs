//! What the shared level on Redis Cluster costs.

use super::ways::{Stage, Way};
use crate::harness::{Goal, Outcome, PinnedEngine, PinnedPostgres, Settings, crate_version, version_of};
use crate::schema;
use anyhow::Result;

const QUESTION: &str = "What do a hit and a fill of the shared level on Redis Cluster cost, against the redis crate's cluster \
                        client with the same commands?";
const HIT: &str = "hit, 32 tasks";
const HIT_ALONE: &str = "hit, 1 task";
const FILL: &str = "fill, 32 tasks";
const RATE: &str = "operations/s";
const CPU: &str = "client CPU µs/operation";
const ENGINE: &str = "Onefold engine";
const CACHE: &str = "Onefold `get_or`, L1 missed";
const RAW: &str = "redis crate, same commands";
const RAW_ALONE: &str = "redis crate, GET or SET alone";

const WAYS: [Way; 10] = [
    (HIT, RAW_ALONE, "raw-get", 32),
    (HIT, RAW, "raw-read", 32),
    (HIT, ENGINE, "engine-read", 32),
    (HIT, CACHE, "cache-read", 32),
    (HIT_ALONE, RAW, "raw-read", 1),
    (HIT_ALONE, ENGINE, "engine-read", 1),
    (HIT_ALONE, CACHE, "cache-read", 1),
    (FILL, RAW_ALONE, "raw-set", 32),
    (FILL, RAW, "raw-fill", 32),
    (FILL, ENGINE, "engine-fill", 32),
];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let postgres = PinnedPostgres::start().await?;
    schema::migrate(&postgres.url()).await?;
    let redis = PinnedEngine::redis().await?;
    let stage = Stage { load: "redis", engine: &redis, postgres: &postgres, arguments: &[] };
    let mut table = stage.rounds(settings, &WAYS, |table, case, name, count| {
        table.add(case, name, RATE, count.rate());
        table.add(case, name, CPU, count.cpu_us());
    })?;
    for (case, subject) in
        [(HIT, ENGINE), (HIT, CACHE), (HIT_ALONE, ENGINE), (HIT_ALONE, CACHE), (FILL, ENGINE)]
    {
        table.compare((case, RATE), subject, RAW, Some(Goal::AtLeast(0.85)))?;
        table.compare((case, CPU), subject, RAW, None)?;
    }
    table.compare((HIT, RATE), ENGINE, RAW_ALONE, None)?;
    table.compare((FILL, RATE), ENGINE, RAW_ALONE, None)?;
    let notes = [
        "Redis: three masters and three replicas as `up` starts them, in memory alone; all six and Postgres on one core, \
         the load, in one thread, on the other. 10,000 entries of 200 bytes, drawn by the seed.",
        "A hit is one flight of PTTL and GET. A fill is what a miss costs: that flight, the script that grants the lease, \
         the script that stores under it; nothing is loaded. The peer sends the same through the redis crate's cluster \
         client; alone, it does without lease and lifetime, and so without what keeps a late fill out.",
        "`get_or` makes a session for each read, as a request does; its own level has the least size that is allowed, \
         64 KiB, and holds one entry in fifty. It decodes the value, checks it against the session, and counts.",
    ];
    let versions = vec![crate_version("redis"), version_of("redis-server", "--version")];
    Ok(table.outcome(settings, ("redis", QUESTION), &notes, versions))
}
