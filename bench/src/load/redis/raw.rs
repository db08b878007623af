//! The redis crate's cluster client, without anything around it.

use super::{ENTRIES, LONG, SHORT, Through, VALUE_BYTES, for_all};
use crate::harness::{Count, Tables};
use crate::load::Target;
use crate::load::drive::closed_loop;
use anyhow::{Context as _, Result, bail};
use onefold_cache::CacheKey;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{ProtocolVersion, Script, Value};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The engine's own scripts.
const LEASE: &str = include_str!("../../../../crates/cache/src/redis/lua/lease.lua");
const BEGIN: &str = include_str!("../../../../crates/cache/src/redis/lua/begin.lua");
const FILL: &str = include_str!("../../../../crates/cache/src/redis/lua/fill.lua");
const SERVER: &str = "a-life-of-a-server";
const TIMELINE: &str = "0000000001";
const ZERO: &str = "00000000000000000000";
const LEASE_MILLIS: u64 = 10_000;
const SENTINEL_MILLIS: u64 = 24 * 3600 * 1000;
/// What stands before the payload in a record of the engine's, without the epoch: whether it is valid, how long it is
/// kept as stale, and what its load had seen.
const HEAD: [u8; 26] = [1; 26];
const EPOCH: [u8; 8] = [7; 8];
/// Another may begin a bucket's epoch at the same time.
const BEGINNINGS_MAX: usize = 4;

async fn connect(topology: &Path) -> Result<ClusterConnection> {
    let url = Tables::read(topology)?.cache.url.context("cache.url")?;
    let (_, hosts) = url.expose().rsplit_once('@').context("a URL with a password")?;
    let password = std::fs::read_to_string(topology.with_file_name("redis-admin.password"))?;
    let nodes = hosts.trim().split(',').map(|host| format!("redis://{host}"));
    let client = ClusterClient::builder(nodes).password(password.trim()).use_protocol(ProtocolVersion::RESP3);
    Ok(client.build()?.get_async_connection().await?)
}

/// Under the engine's prefix, and in the slots of its buckets.
fn names(space: &str, id: i64) -> [String; 3] {
    let key = CacheKey::new(space, &id);
    let (bucket, text) = (key.bucket(), key.text());
    [
        format!("onefold:raw:{{{bucket}}}"),
        format!("onefold:raw:{{{bucket}}}:{text}"),
        format!("onefold:raw:{{{bucket}}}!{text}"),
    ]
}

fn record() -> Vec<u8> {
    [&HEAD[..], &[b'v'; VALUE_BYTES]].concat()
}

pub(super) async fn read(target: &Target, topology: &Path, through: Through) -> Result<Count> {
    let connection = connect(topology).await?;
    let value = [&EPOCH[..], &record()].concat();
    for_all(async |id| {
        let [_, name, _] = names("raw", id);
        let mut set = redis::cmd("SET");
        set.arg(name).arg(&value).arg("PX").arg(LONG.as_millis().to_string());
        Ok(set.query_async::<()>(&mut connection.clone()).await?)
    })
    .await?;
    closed_loop(target, ENTRIES, move |id| {
        let mut connection = connection.clone();
        async move {
            let [_, name, _] = names("raw", id);
            let value: Vec<u8> = if through == Through::RawGet {
                redis::cmd("GET").arg(name).query_async(&mut connection).await?
            } else {
                let mut both = redis::pipe();
                both.cmd("PTTL").arg(&name).cmd("GET").arg(&name);
                let (_left, value): (i64, Vec<u8>) = both.query_async(&mut connection).await?;
                value
            };
            if value.len() < VALUE_BYTES { bail!("entry {id} is not there") } else { Ok(()) }
        }
    })
    .await
}

/// The scripts, hashed once.
struct Scripts {
    lease: Script,
    begin: Script,
    fill: Script,
}

pub(super) async fn fill(target: &Target, topology: &Path, through: Through) -> Result<Count> {
    let connection = connect(topology).await?;
    let scripts =
        Arc::new(Scripts { lease: Script::new(LEASE), begin: Script::new(BEGIN), fill: Script::new(FILL) });
    let (next, space) = (Arc::new(AtomicI64::new(0)), format!("fill-{}", std::process::id()));
    let space: Arc<str> = space.into();
    if through == Through::RawFill {
        for_all(async |id| {
            keep(&scripts, &mut connection.clone(), &names(&format!("{space}-warm"), id)).await
        })
        .await?;
    }
    closed_loop(target, 1, move |_| {
        let (mut connection, scripts, space) = (connection.clone(), Arc::clone(&scripts), Arc::clone(&space));
        let id = next.fetch_add(1, Ordering::Relaxed);
        async move {
            let names = names(&space, id);
            if through == Through::RawFill {
                return keep(&scripts, &mut connection, &names).await;
            }
            let mut set = redis::cmd("SET");
            set.arg(&names[1]).arg(record()).arg("PX").arg(SHORT.as_millis().to_string());
            Ok(set.query_async(&mut connection).await?)
        }
    })
    .await
}

async fn keep(scripts: &Scripts, connection: &mut ClusterConnection, names: &[String; 3]) -> Result<()> {
    let [sentinel, record_name, lease_name] = names;
    let mut both = redis::pipe();
    both.cmd("PTTL").arg(record_name).cmd("GET").arg(record_name);
    let (_left, _none): (i64, Option<Vec<u8>>) = both.query_async(connection).await?;
    let id: [u8; 16] = *uuid::Uuid::new_v4().as_bytes();
    for _ in 0..BEGINNINGS_MAX {
        let mut lease = scripts.lease.key(sentinel);
        lease.key(record_name).key(lease_name);
        lease.arg(SERVER).arg(TIMELINE).arg(&EPOCH).arg(&id).arg(LEASE_MILLIS).arg("0").arg(SENTINEL_MILLIS);
        let answer: Vec<Value> = lease.invoke_async(connection).await?;
        match answer.first() {
            Some(Value::Int(2)) => {
                let mut fill = scripts.fill.key(sentinel);
                fill.key(record_name).key(lease_name);
                fill.arg(SERVER).arg(&id).arg(record()).arg(SHORT.as_millis().to_string());
                let kept: i64 = fill.invoke_async(connection).await?;
                return if kept == 1 { Ok(()) } else { bail!("{record_name} is not kept") };
            }
            Some(Value::Int(3)) => {
                let mut begin = scripts.begin.key(sentinel);
                begin.arg(SERVER).arg(&EPOCH).arg(ZERO);
                begin.invoke_async::<i64>(connection).await?;
            }
            other => bail!("no lease of {lease_name}: {other:?}"),
        }
    }
    bail!("no lease of {lease_name} after {BEGINNINGS_MAX} beginnings")
}
