//! A holder crashes, and somebody waits for its lock.
//!
//! The holder has a runtime of its own in this process. A crash ends that: from then on nothing of it runs, and nothing
//! is given back, as with a process that is killed.

use super::raw;
use crate::harness::{Count, Stopwatch};
use crate::load::Target;
use anyhow::{Context as _, Result, bail};
use etcd_client::LockOptions;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const TTL: Duration = Duration::from_secs(2);
/// A crash falls anywhere between two renewals.
const RENEW_EVERY: Duration = TTL.checked_div(3).expect("three is not zero");

/// A holder that waits for its crash.
struct Holder {
    crash: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Holder {
    /// Returns once `hold` says that it holds.
    async fn start<F>(hold: impl FnOnce(oneshot::Sender<()>) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>>,
    {
        let (holds, held) = oneshot::channel();
        let (crash, crashed) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(async {
                tokio::select! {
                    ended = hold(holds) => ended,
                    _ = crashed => Ok(()),
                }
            });
            runtime.shutdown_background();
            outcome
        });
        if held.await.is_err() {
            thread.join().ok().context("the holder panicked")??;
            bail!("the holder ended");
        }
        Ok(Self { crash, thread })
    }

    /// When it has crashed.
    fn crash(self) -> Result<Instant> {
        let _ = self.crash.send(());
        self.thread.join().ok().context("the holder panicked")??;
        Ok(Instant::now())
    }
}

/// How long a holder holds before it crashes: a few renewals and a part of one.
fn hold_for(target: &Target, crash: u32) -> Duration {
    let mut random = SmallRng::seed_from_u64(target.seed.wrapping_mul(1000) + u64::from(crash));
    RENEW_EVERY + RENEW_EVERY.mul_f64(random.random_range(0.0..1.0))
}

fn lock_name(crash: u32) -> String {
    format!("takeover-{}-{crash}", std::process::id())
}

pub(super) async fn onefold(target: &Target, topology: &Path, crashes: u32) -> Result<Count> {
    let service = super::connect(target, topology).await?;
    let locks = service.coordination.locks().clone();
    let stopwatch = Stopwatch::start();
    let mut seconds = 0.0;
    for crash in 0..crashes {
        let (target, topology, name): (Target, PathBuf, _) =
            (target.clone(), topology.to_owned(), lock_name(crash));
        let (to_hold, hold_time) = (name.clone(), hold_for(&target, crash));
        let holder = Holder::start(async move |holds: oneshot::Sender<()>| {
            let service = super::connect(&target, &topology).await?;
            let _lock = service.coordination.locks().lock(&to_hold, TTL).await?;
            let _ = holds.send(());
            std::future::pending().await
        });
        let holder = holder.await?;
        let (waits, wanted) = (locks.clone(), name);
        let waiting = tokio::spawn(async move { waits.lock(&wanted, TTL).await });
        tokio::time::sleep(hold_time).await;
        let crashed = holder.crash()?;
        let lock = waiting.await.context("wait for the lock")??;
        seconds += crashed.elapsed().as_secs_f64();
        lock.release().await;
    }
    Ok(Count { seconds, ..stopwatch.stop(crashes.into()) })
}

pub(super) async fn raw(target: &Target, topology: &Path, crashes: u32) -> Result<Count> {
    let client = raw::connect(topology).await?;
    let stopwatch = Stopwatch::start();
    let mut seconds = 0.0;
    for crash in 0..crashes {
        let (topology, name) = (topology.to_owned(), format!("onefold/raw-lock/{}", lock_name(crash)));
        let to_hold = name.clone();
        let holder = Holder::start(async move |holds: oneshot::Sender<()>| {
            let mut client = raw::connect(&topology).await?;
            let lease = client.lease_grant(i64::try_from(TTL.as_secs())?, None).await?.id();
            client.lock(to_hold, Some(LockOptions::new().with_lease(lease))).await?;
            let (mut keeper, mut _answers) = client.lease_keep_alive(lease).await?;
            let _ = holds.send(());
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                keeper.keep_alive().await?;
            }
        });
        let holder = holder.await?;
        let mut waits = client.clone();
        let waiting = tokio::spawn(async move {
            let lease = waits.lease_grant(60, None).await?.id();
            waits.lock(name, Some(LockOptions::new().with_lease(lease))).await?;
            anyhow::Ok(lease)
        });
        tokio::time::sleep(hold_for(target, crash)).await;
        let crashed = holder.crash()?;
        let lease = waiting.await.context("wait for the lock")??;
        seconds += crashed.elapsed().as_secs_f64();
        client.clone().lease_revoke(lease).await?;
    }
    Ok(Count { seconds, ..stopwatch.stop(crashes.into()) })
}
