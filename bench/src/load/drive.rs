//! The closed loop: some tasks do one operation after the other, and a window in the midst of it is measured.

use crate::harness::{Count, Stopwatch};
use crate::load::Target;
use anyhow::{Context as _, Result, bail};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Long enough for connections, prepared statements and caches.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Progress {
    done: AtomicU64,
    is_over: AtomicBool,
}

/// Runs `operation` with a random number below `numbers` in each task. An operation that fails ends the benchmark.
pub(super) async fn closed_loop<F, O>(target: &Target, numbers: i64, operation: F) -> Result<Count>
where
    F: Fn(i64) -> O + Clone + Send + Sync + 'static,
    O: Future<Output = Result<()>> + Send,
{
    let progress = Arc::new(Progress::default());
    let mut tasks = JoinSet::new();
    for number in 0..target.tasks {
        let (progress, operation) = (Arc::clone(&progress), operation.clone());
        let mut random = SmallRng::seed_from_u64(target.seed + number as u64);
        tasks.spawn(async move {
            while !progress.is_over.load(Ordering::Relaxed) {
                operation(random.random_range(0..numbers)).await?;
                progress.done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let before = progress.done.load(Ordering::Relaxed);
    let stopwatch = Stopwatch::start();
    tokio::time::sleep(target.window()).await;
    let count = stopwatch.stop(progress.done.load(Ordering::Relaxed) - before);
    progress.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task of the load")??;
    }
    if count.operations == 0 {
        bail!("nothing was done in {:?}", target.window());
    }
    Ok(count)
}
