//! The worker as the node sees it: started once, through however many leases.

use super::crew::Crew;
use super::life::{Ended, Life};
use crate::Queue;
use crate::config::WorkerConfig;
use crate::store::{Identity, WorkerId};
use onefold_core::metrics::Metrics;
use onefold_core::retry::Backoff;
use onefold_core::{Boot, Clock, NodeName, TaskGroup, Zone};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const RETRY: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };

/// What a worker is started with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The `[worker]` table.
    pub config: WorkerConfig,
    /// The node's name.
    pub node: NodeName,
    /// Its zone.
    pub zone: Zone,
    /// The build it runs.
    pub build: String,
    /// Where its metrics go.
    pub metrics: &'a Metrics,
    /// Its clock.
    pub clock: Clock,
}

/// Runs the jobs of its queues in this node.
///
/// It stops with its task group: fetched jobs that do not run yet are given back at once, running handlers have
/// [`WorkerConfig::grace`] to end. The group's drain must be longer than that, and the database's tasks must
/// outlive the group.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts the worker's tasks in `tasks`.
    pub fn start(queue: &Queue, start: Start<'_>, tasks: &TaskGroup) {
        let crew = Crew::new(queue.store(), queue.kinds(), queue.wakes(), start);
        let crew = Arc::new(crew);
        let (listening, stopping) = (Arc::clone(&crew), tasks.stopping());
        tasks.spawn("worker-signals", async move {
            stopping.run_until_cancelled(listening.listen()).await;
        });
        let stopping = tasks.stopping();
        tasks.spawn("worker", async move { live(crew, stopping).await });
    }
}

async fn live(crew: Arc<Crew>, stopping: CancellationToken) {
    while let Some((id, registered)) = stopping.run_until_cancelled(register(&crew)).await {
        let life = Arc::new(Life::new(Arc::clone(&crew), id, registered));
        // What a lost life held is left to the rescue, which spends the attempts: a job that starves its own
        // worker of its lease must not do so for ever.
        if life.run(&stopping).await == Ended::Stopped {
            return;
        }
    }
}

/// Registers under a new boot until it succeeds.
async fn register(crew: &Crew) -> (WorkerId, Instant) {
    let mut attempt = 0;
    loop {
        let identity = Identity {
            node: crew.node.clone(),
            zone: crew.zone.clone(),
            boot: Boot::new(),
            build: crew.build.clone(),
        };
        let sent = crew.clock.now();
        match crew.store.register(&identity, crew.config.lease).await {
            Ok(id) => return (id, sent),
            Err(error) => {
                if attempt == 0 {
                    tracing::warn!("register worker: {error}; tried again");
                }
                let delay = RETRY.delay(attempt, &mut rand::rng());
                tokio::time::sleep(delay).await;
                attempt += 1;
            }
        }
    }
}

impl WorkerConfig {
    /// The drain that a worker's task group needs: the grace, the last fetch and the last statements.
    pub fn drain(&self) -> Duration {
        self.grace + Duration::from_secs(5)
    }
}
