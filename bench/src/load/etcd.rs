//! Changes, watches and locks in etcd.

mod raw;
mod takeover;

use crate::harness::{Count, Tables};
use crate::load::Target;
use crate::load::drive::closed_loop;
use crate::load::node::Node;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use onefold_coordination::store::{Operation, Txn};
use onefold_coordination::{Coordination, Node as Member, Writer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// Keys that are written, again and again.
const KEYS: i64 = 100;
const VALUE: &str = "a value as long as a setting's often is, some words";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a lock that is given back.
const LOCK_TTL: Duration = Duration::from_secs(10);

/// The ways to etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// etcd-client: a put.
    RawPut,
    /// etcd-client: a transaction of the engine's own steps.
    RawTxn,
    /// The store: a put, with its history.
    Put,
    /// etcd-client: a put, until its own watch has seen it.
    RawWatch,
    /// The store: a put, until the snapshot has it that flags and settings are read from.
    Watch,
    /// etcd-client: a lease, the lock under it, and both given back.
    RawLock,
    /// etcd-client: the lock under a lease that stays.
    RawLockOnly,
    /// A lock, taken and given back.
    Lock,
    /// etcd-client: the lock of a holder that has crashed.
    RawTakeover,
    /// The same of ours.
    Takeover,
}

/// `crashes` is how often a holder crashes, for takeovers.
pub(super) async fn run(target: &Target, topology: &Path, through: Through, crashes: u32) -> Result<Count> {
    match through {
        Through::RawPut => raw::put(target, topology).await,
        Through::RawTxn => raw::transact(target, topology).await,
        Through::RawWatch => raw::watch(target, topology).await,
        Through::RawLock => raw::lock(target, topology).await,
        Through::RawLockOnly => raw::lock_only(target, topology).await,
        Through::RawTakeover => takeover::raw(target, topology, crashes).await,
        Through::Takeover => takeover::onefold(target, topology, crashes).await,
        Through::Put => put(target, topology).await,
        Through::Watch => watch(target, topology).await,
        Through::Lock => lock(target, topology).await,
    }
}

/// A node with the configuration service.
struct Service {
    coordination: Coordination,
    _node: Node,
}

async fn connect(target: &Target, topology: &Path) -> Result<Service> {
    let node = Node::connect(target).await?;
    let member = Member {
        name: "load".parse()?,
        tasks: node.tasks.clone(),
        metrics: node.metrics.clone(),
        clock: node.clock.clone(),
    };
    let config = Tables::read(topology)?.coordination;
    let coordination = Coordination::connect(&node.database, &config, &member).await?;
    Ok(Service { coordination, _node: node })
}

fn change(id: i64, number: u64) -> Txn {
    let value = serde_json::json!({ "text": VALUE, "number": number });
    Txn {
        then: vec![Operation::put(format!("bench/{id}"), value)],
        writer: Writer::new("bench"),
        ..Txn::default()
    }
}

async fn put(target: &Target, topology: &Path) -> Result<Count> {
    let service = connect(target, topology).await?;
    let (store, numbers) = (Arc::clone(service.coordination.store()), Arc::new(AtomicU64::new(0)));
    closed_loop(target, KEYS, move |id| {
        let (store, number) = (Arc::clone(&store), numbers.fetch_add(1, Ordering::Relaxed));
        async move {
            let outcome = store.commit(&change(id, number)).await?;
            if outcome.held { Ok(()) } else { bail!("a put without condition did not hold") }
        }
    })
    .await
}

async fn watch(target: &Target, topology: &Path) -> Result<Count> {
    let service = connect(target, topology).await?;
    let (store, numbers) = (Arc::clone(service.coordination.store()), Arc::new(AtomicU64::new(0)));
    let snapshots: watch::Receiver<_> = service.coordination.snapshots();
    let snapshots = Arc::new(Mutex::new(snapshots));
    closed_loop(target, KEYS, move |id| {
        let (store, number) = (Arc::clone(&store), numbers.fetch_add(1, Ordering::Relaxed));
        let snapshots = Arc::clone(&snapshots);
        async move {
            let mut snapshots = snapshots.lock().await;
            let key = format!("bench/{id}");
            let is_seen = |number: u64| {
                let key = key.clone();
                move |snapshot: &Arc<onefold_coordination::Snapshot>| {
                    snapshot.get(&key).is_some_and(|entry| entry.value["number"] == number)
                }
            };
            store.commit(&change(id, number)).await?;
            let seen = snapshots.wait_for(is_seen(number));
            tokio::time::timeout(PATIENCE, seen).await.context("a change was not seen")??;
            Ok(())
        }
    })
    .await
}

async fn lock(target: &Target, topology: &Path) -> Result<Count> {
    let service = connect(target, topology).await?;
    let locks = service.coordination.locks().clone();
    closed_loop(target, KEYS, move |id| {
        let locks = locks.clone();
        async move {
            let lock = locks.try_lock(&format!("bench-{id}"), LOCK_TTL).await?;
            lock.context("somebody has the lock")?.release().await;
            Ok(())
        }
    })
    .await
}
