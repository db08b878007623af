//! What changes, watches and locks in etcd cost.

use super::ways::{Stage, Way};
use crate::harness::{Goal, Outcome, PinnedEngine, PinnedPostgres, Settings, crate_version, version_of};
use crate::schema;
use anyhow::Result;

const QUESTION: &str =
    "What do a change, its way to a watcher, and a lock in etcd cost, against etcd-client?";
const PUT: &str = "put, 1 task";
const PUTS: &str = "put, 16 tasks";
const WATCH: &str = "put until seen";
const LOCK: &str = "lock, taken and given back";
const TAKEOVER: &str = "crash takeover, lease of 2 s";
const RATE: &str = "operations/s";
const LATENCY: &str = "ms, mean";
const CPU: &str = "client CPU µs/operation";
const ONEFOLD: &str = "Onefold";
const RAW: &str = "etcd-client, same steps";
const RAW_ALONE: &str = "etcd-client, a put or a lock alone";
const CRASHES: u32 = 2;

const WAYS: [Way; 13] = [
    (PUT, RAW_ALONE, "raw-put", 1),
    (PUT, RAW, "raw-txn", 1),
    (PUT, ONEFOLD, "put", 1),
    (PUTS, RAW_ALONE, "raw-put", 16),
    (PUTS, RAW, "raw-txn", 16),
    (PUTS, ONEFOLD, "put", 16),
    (WATCH, RAW, "raw-watch", 1),
    (WATCH, ONEFOLD, "watch", 1),
    (LOCK, RAW_ALONE, "raw-lock-only", 1),
    (LOCK, RAW, "raw-lock", 1),
    (LOCK, ONEFOLD, "lock", 1),
    (TAKEOVER, RAW, "raw-takeover", 1),
    (TAKEOVER, ONEFOLD, "takeover", 1),
];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let postgres = PinnedPostgres::start().await?;
    schema::migrate(&postgres.url()).await?;
    let etcd = PinnedEngine::etcd().await?;
    let arguments = &["--crashes", &CRASHES.to_string()];
    let stage = Stage { load: "etcd", engine: &etcd, postgres: &postgres, arguments };
    let mut table = stage.rounds(settings, &WAYS, |table, case, name, count| {
        if case == PUTS {
            table.add(case, name, RATE, count.rate());
        } else {
            table.add(case, name, LATENCY, 1e3 / count.rate());
        }
        if case != TAKEOVER {
            table.add(case, name, CPU, count.cpu_us());
        }
    })?;
    // 0.85 of the peer's rate, as a time.
    let in_time = Some(Goal::AtMost(1.18));
    for case in [PUT, WATCH, LOCK, TAKEOVER] {
        table.compare((case, LATENCY), ONEFOLD, RAW, in_time)?;
    }
    table.compare((PUTS, RATE), ONEFOLD, RAW, Some(Goal::AtLeast(0.85)))?;
    table.compare((PUT, LATENCY), ONEFOLD, RAW_ALONE, None)?;
    table.compare((LOCK, LATENCY), ONEFOLD, RAW_ALONE, None)?;
    let notes = [
        "etcd: three members as `up` starts them, on disk; all and Postgres, where only fences would stand, on one core, the \
         load, in one thread, on the other. Both clients enter with user and password.",
        "A put of ours is one transaction: the entry, what it was, who did it and why, and the head, by whose revision a \
         watcher knows where it is. The peer sends the same steps; alone, it puts the entry.",
        "Until seen: the peer's own watch, and the snapshot from which our flags and settings are read, which also is \
         parsed, kept in order and handed to everybody who follows.",
        "A lock of ours is a lease, the lock under it with a fencing token if nobody has it, and the lease given back: three \
         calls. The peer takes a lease, the lock of etcd's own lock service, and gives the lease back; \
         alone, the lock under a lease that it keeps.",
        "Takeover: a holder's runtime ends at a random moment between two renewals, each a third of the lease; what counts \
         is the time until the one who waits has the lock. etcd looks for ended leases twice a second, and ends none \
         before its time.",
    ];
    let versions =
        vec![crate_version("etcd-client"), version_of("etcd", "--version"), postgres.version().await?];
    Ok(table.outcome(settings, ("etcd", QUESTION), &notes, versions))
}
