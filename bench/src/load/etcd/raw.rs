//! etcd-client, without anything around it.

use super::{KEYS, LOCK_TTL, PATIENCE, VALUE};
use crate::harness::{Count, Tables};
use crate::load::Target;
use crate::load::drive::closed_loop;
use anyhow::{Context as _, Result, bail};
use etcd_client::{Client, ConnectOptions, LockOptions, Txn, TxnOp, WatchOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

pub(super) async fn connect(topology: &Path) -> Result<Client> {
    let config = Tables::read(topology)?.coordination;
    let endpoints: Vec<String> = config.endpoints.iter().map(ToString::to_string).collect();
    let (user, password) = config.user.zip(config.password).context("a user with a password")?;
    let options = ConnectOptions::new().with_user(user, password.expose());
    Ok(Client::connect(endpoints, Some(options)).await?)
}

fn key(id: i64) -> String {
    format!("onefold/raw/{id}")
}

fn value(number: u64) -> String {
    format!(r#"{{"value":{{"text":"{VALUE}","number":{number}}}}}"#)
}

pub(super) async fn put(target: &Target, topology: &Path) -> Result<Count> {
    let (client, numbers) = (connect(topology).await?, Arc::new(AtomicU64::new(0)));
    closed_loop(target, KEYS, move |id| {
        let (mut client, number) = (client.clone(), numbers.fetch_add(1, Ordering::Relaxed));
        async move {
            client.put(key(id), value(number), None).await?;
            Ok(())
        }
    })
    .await
}

/// The entry, what it was, and the head, which is also read.
fn steps(id: i64, number: u64) -> Txn {
    let past = format!("onefold/raw-past/{id}\0d{}", uuid::Uuid::new_v4().simple());
    let was = format!(
        r#"{{"value":{{"text":"{VALUE}","number":{number}}},"actor":"bench","at":"2026-01-01T00:00:00.000000000Z"}}"#
    );
    Txn::new().and_then(vec![
        TxnOp::put(key(id), value(number), None),
        TxnOp::put(past, was, None),
        TxnOp::put("onefold/raw-head", "", None),
        TxnOp::get("onefold/raw-head", None),
    ])
}

pub(super) async fn transact(target: &Target, topology: &Path) -> Result<Count> {
    let (client, numbers) = (connect(topology).await?, Arc::new(AtomicU64::new(0)));
    closed_loop(target, KEYS, move |id| {
        let (mut client, number) = (client.clone(), numbers.fetch_add(1, Ordering::Relaxed));
        async move {
            let answer = client.txn(steps(id, number)).await?;
            if answer.succeeded() { Ok(()) } else { bail!("a transaction without condition did not hold") }
        }
    })
    .await
}

pub(super) async fn watch(target: &Target, topology: &Path) -> Result<Count> {
    let (mut client, numbers) = (connect(topology).await?, Arc::new(AtomicU64::new(0)));
    let watching = client.watch("onefold/raw/", Some(WatchOptions::new().with_prefix())).await?;
    let watching = Arc::new(Mutex::new(watching));
    closed_loop(target, KEYS, move |id| {
        let (mut client, number) = (client.clone(), numbers.fetch_add(1, Ordering::Relaxed));
        let watching = Arc::clone(&watching);
        async move {
            let mut watching = watching.lock().await;
            client.txn(steps(id, number)).await?;
            let (key, value) = (key(id), value(number));
            let seen = async {
                while let Some(message) = watching.message().await? {
                    let mut pairs = message.events().iter().filter_map(etcd_client::Event::kv);
                    if pairs.any(|pair| pair.key() == key.as_bytes() && pair.value() == value.as_bytes()) {
                        return Ok(());
                    }
                }
                bail!("the watch has ended")
            };
            tokio::time::timeout(PATIENCE, seen).await.context("a change was not seen")?
        }
    })
    .await
}

pub(super) async fn lock(target: &Target, topology: &Path) -> Result<Count> {
    let client = connect(topology).await?;
    let seconds = i64::try_from(LOCK_TTL.as_secs())?;
    closed_loop(target, KEYS, move |id| {
        let mut client = client.clone();
        async move {
            let lease = client.lease_grant(seconds, None).await?.id();
            let options = LockOptions::new().with_lease(lease);
            client.lock(format!("onefold/raw-lock/{id}"), Some(options)).await?;
            client.lease_revoke(lease).await?;
            Ok(())
        }
    })
    .await
}

pub(super) async fn lock_only(target: &Target, topology: &Path) -> Result<Count> {
    let mut client = connect(topology).await?;
    // It stays for the whole run: nothing need renew it.
    let lease = client.lease_grant(i64::try_from(PATIENCE.as_secs())?, None).await?.id();
    closed_loop(target, KEYS, move |id| {
        let mut client = client.clone();
        async move {
            let options = LockOptions::new().with_lease(lease);
            let held = client.lock(format!("onefold/raw-lock/{id}"), Some(options)).await?;
            client.unlock(held.key()).await?;
            Ok(())
        }
    })
    .await
}
