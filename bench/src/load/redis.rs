//! Entries of the shared level on Redis Cluster: read, or loaded anew and kept.

mod raw;

use crate::harness::{Count, Tables};
use crate::load::drive::closed_loop;
use crate::load::node::Node;
use crate::load::{Target, bare};
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use futures_util::{StreamExt as _, TryStreamExt as _};
use onefold_cache::redis::Redis;
use onefold_cache::{Cache, CacheKey, Cached, Config, Fill, Got, L2, Want};
use onefold_core::Lsn;
use onefold_database::{Evidence, Position, Reader, Session, Stamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Entries that are read: so many that a node's own level of the least size holds one in fifty.
const ENTRIES: i64 = 10_000;
const VALUE_BYTES: usize = 200;
/// Entries that are made at once, before anything is measured.
const AT_ONCE: usize = 32;
/// Longer than a benchmark.
const LONG: Duration = Duration::from_hours(1);
/// What is filled is soon gone, so that the servers' memory does not fill up.
const SHORT: Duration = Duration::from_secs(2);
/// The least that a node may have for its own level.
const L1_BYTES: u64 = 64 << 10;
/// Nobody is to give up under load: the answer is waited for by all alike.
const PATIENCE: Duration = Duration::from_secs(5);
const SQL: &str = "select url from item where id = $1";
const ITEM: Cached<i64, String> = Cached::new("item", LONG).dear();

/// The ways to the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// The redis crate's cluster client: `GET` alone.
    RawGet,
    /// The same with what the engine asks: `PTTL` and `GET` in one flight.
    RawRead,
    /// The engine.
    EngineRead,
    /// `Cache::get_or`, whose own level has room for one entry in fifty.
    CacheRead,
    /// The redis crate's cluster client: `SET` alone.
    RawSet,
    /// The same with what the engine does: look for the record, take the lease, fill under it.
    RawFill,
    /// The engine.
    EngineFill,
}

pub(super) async fn run(target: &Target, topology: &Path, through: Through) -> Result<Count> {
    match through {
        Through::RawGet | Through::RawRead => raw::read(target, topology, through).await,
        Through::RawSet | Through::RawFill => raw::fill(target, topology, through).await,
        Through::EngineRead => engine_read(target, topology).await,
        Through::EngineFill => engine_fill(target, topology).await,
        Through::CacheRead => cache_read(target, topology).await,
    }
}

/// Does something for each entry, a few at once.
async fn for_all(step: impl AsyncFn(i64) -> Result<()>) -> Result<()> {
    let step = &step;
    futures_util::stream::iter(0..ENTRIES).map(Ok).try_for_each_concurrent(AT_ONCE, |id| step(id)).await
}

/// A node's way to Redis, with every server reached.
async fn engine(node: &Node, topology: &Path) -> Result<Arc<Redis>> {
    let engine = Redis::start(&config(topology)?, node.database.clone(), &node.tasks)?;
    for _ in 0..1000 {
        if engine.is_whole() {
            return Ok(Arc::new(engine));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("not every Redis is reached: {:?}", engine.problem())
}

fn config(topology: &Path) -> Result<Config> {
    let cache = Tables::read(topology)?.cache;
    Ok(Config { l1_bytes: L1_BYTES, l1_ttl: Duration::from_mins(1), l2_timeout: PATIENCE, ..cache })
}

fn entry(space: &str, id: i64) -> CacheKey {
    CacheKey::new(space, &id)
}

async fn keep(engine: &Redis, key: &CacheKey, ttl: Duration) -> Result<bool> {
    match engine.get(key, Want::Value).await? {
        Got::Leased { lease, need, .. } => {
            let shown = Position { timeline: 1, lsn: need };
            let evidence = Evidence { stamp: Stamp::Replayed(need.max(Lsn(1))), shown };
            let payload = &[b'v'; VALUE_BYTES];
            let fill = Fill { payload, evidence, ttl, keep_stale: Duration::ZERO };
            Ok(engine.fill(key, lease, fill).await?)
        }
        Got::Hit(_) => Ok(true),
        Got::Busy { .. } => Ok(false),
    }
}

async fn engine_read(target: &Target, topology: &Path) -> Result<Count> {
    let node = Node::connect(target).await?;
    let engine = engine(&node, topology).await?;
    for_all(async |id| {
        if keep(&engine, &entry("engine", id), LONG).await? {
            Ok(())
        } else {
            bail!("entry {id} is not kept")
        }
    })
    .await?;
    closed_loop(target, ENTRIES, move |id| {
        let engine = Arc::clone(&engine);
        async move {
            match engine.get(&entry("engine", id), Want::Value).await? {
                Got::Hit(copied) if copied.payload.len() == VALUE_BYTES => Ok(()),
                other => bail!("entry {id} is no hit: {other:?}"),
            }
        }
    })
    .await
}

async fn engine_fill(target: &Target, topology: &Path) -> Result<Count> {
    let node = Node::connect(target).await?;
    let engine = engine(&node, topology).await?;
    let (next, space) = (Arc::new(AtomicI64::new(0)), format!("fill-{}", std::process::id()));
    let space: Arc<str> = space.into();
    // Every bucket's epoch has begun before the window, as in a system that has run for a while.
    for_all(async |id| keep(&engine, &entry(&format!("{space}-warm"), id), SHORT).await.map(drop)).await?;
    closed_loop(target, 1, move |_| {
        let (engine, space) = (Arc::clone(&engine), Arc::clone(&space));
        let id = next.fetch_add(1, Ordering::Relaxed);
        async move {
            if keep(&engine, &entry(&space, id), SHORT).await? {
                Ok(())
            } else {
                bail!("entry {id} is not kept")
            }
        }
    })
    .await
}

/// Rows as long as the other ways' values.
async fn make_items(url: &str) -> Result<()> {
    let client = bare::connect(url).await?;
    let sql = format!(
        "create table if not exists item (id bigint primary key, url text not null);
         insert into item select id, repeat('v', {VALUE_BYTES}) from generate_series(0, {ENTRIES} - 1) id
         on conflict do nothing"
    );
    client.batch_execute(&sql).await.context("make rows")
}

async fn cache_read(target: &Target, topology: &Path) -> Result<Count> {
    make_items(&target.primary).await?;
    let node = Node::connect(target).await?;
    let clock = node.clock.clone();
    let cache = Cache::with_engine(
        &config(topology)?,
        Some(engine(&node, topology).await?),
        &node.database,
        &node.tasks,
        &node.metrics,
        clock,
    )?;
    while !cache.is_in_step() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let loads = Arc::new(AtomicU64::new(0));
    for_all(async |id| read_through(&cache, &loads, id).await).await?;
    let loaded_before = loads.load(Ordering::Relaxed);
    let counted = Arc::clone(&loads);
    let count = closed_loop(target, ENTRIES, move |id| {
        let (cache, loads) = (cache.clone(), Arc::clone(&counted));
        async move { read_through(&cache, &loads, id).await }
    })
    .await?;
    let loaded = loads.load(Ordering::Relaxed) - loaded_before;
    if loaded * 100 > count.operations {
        bail!("{loaded} of {} reads were no hits", count.operations);
    }
    Ok(count)
}

async fn read_through(cache: &Cache, loads: &AtomicU64, id: i64) -> Result<()> {
    let load = async |reader: Reader| {
        loads.fetch_add(1, Ordering::Relaxed);
        anyhow::Ok(Some(reader.query_one::<String>(SQL, &[&id]).await?))
    };
    match cache.get_or(&Session::new(), &ITEM, &id, load).await? {
        Some(value) if value.len() == VALUE_BYTES => Ok(()),
        other => bail!("item {id} is {other:?}"),
    }
}
