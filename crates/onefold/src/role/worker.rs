//! The worker node: runs the jobs and, while it leads, the schedules and the rescue of the dead.

use super::lifecycle::Lifecycle;
use super::recall;
use crate::App;
use crate::error::Result;
use crate::node::{Identity, Node};
use crate::topology::Topology;
use onefold_coordination::Leadership;
use onefold_core::TaskGroup;
use onefold_queue::{Leader, Start, Worker};
use std::sync::Arc;
use tokio::sync::watch;

/// The election whose winner does what one worker at a time does.
const ELECTION: &str = "queue-leader";

pub(super) async fn run(app: App, topology: &Topology, identity: Identity, lifecycle: Lifecycle) -> Result {
    let node = Node::start(&app, topology, identity.clone(), &lifecycle.tasks, &lifecycle.metrics).await?;
    // Jobs end before what they work with.
    let jobs = TaskGroup::new();
    lead(&app, topology, &node, &lifecycle, &jobs)?;
    let start = Start {
        config: topology.worker.clone(),
        node: identity.name.clone(),
        zone: identity.zone.clone(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        metrics: &lifecycle.metrics,
        clock: node.clock.clone(),
    };
    Worker::start(&node.queue, start, &jobs);
    let members = node.coordination.members();
    recall::start(&lifecycle.emitter, members.watch(), &identity.name, &lifecycle.tasks);
    let registration = members.register(identity.member());
    lifecycle.readiness.set(true);
    tracing::info!("ready");

    lifecycle.stopping.cancelled().await;
    lifecycle.readiness.set(false);
    registration.leave().await;
    jobs.stop(topology.worker.drain()).await;
    node.queue.flush().await;
    lifecycle.end(topology.worker.drain()).await;
    Ok(())
}

/// Stands for election, and does the leader's work while elected.
fn lead(app: &App, topology: &Topology, node: &Arc<Node>, lifecycle: &Lifecycle, jobs: &TaskGroup) -> Result {
    let schedules = app.schedules.iter().map(crate::job::Scheduled::schedule).collect::<Result<Vec<_>>>()?;
    let leader = Leader::new(
        node.queue.clone(),
        node.jobs.clone(),
        schedules,
        topology.queue.clone(),
        &lifecycle.metrics,
        node.clock.clone(),
    );
    let leadership = node.coordination.elect(ELECTION, &node.identity.name);
    let (leads, leading) = watch::channel(false);
    leader.start(leading, jobs)?;
    jobs.spawn("leadership", follow(leadership, leads, jobs.stopping()));
    Ok(())
}

async fn follow(
    mut leadership: watch::Receiver<Leadership>,
    leads: watch::Sender<bool>,
    stopping: tokio_util::sync::CancellationToken,
) {
    loop {
        let now = leadership.borrow_and_update().leads();
        if leads.send_replace(now) != now {
            tracing::info!(leads = now, "leadership of the queue");
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            () = stopping.cancelled() => return,
        }
    }
}
