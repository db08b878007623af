//! What people do with jobs.

use super::World;
use super::node::{Node, hanging, hasty, job, noting, producer, quick};
use super::world::{Seen, until};
use crate::JobId;
use crate::admin::{Cancelled, Depth, JobState};
use std::time::Duration;

/// A waiting job is gone at once, a running one as soon as its worker hears; both leave a trace.
pub async fn waiting_and_running_jobs_are_cancelled(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, hanging(hasty(), &seen)).await;
    let later = node.enqueue(job(2).after(Duration::from_hours(1))).await;
    assert_eq!(world.admin.cancel(later).await.expect("cancel"), Cancelled::Cancelled);
    assert_eq!(world.job(later).await.state, JobState::Cancelled);

    node.work(quick());
    let running = node.enqueue(job(1)).await;
    until("the job runs", async || seen.all() == [1]).await;
    assert_eq!(world.admin.cancel(running).await.expect("cancel"), Cancelled::Requested);
    until("it has ended", async || world.job(running).await.state == JobState::Cancelled).await;
    assert_eq!(world.admin.cancel(JobId(-1)).await.expect("cancel"), Cancelled::Unknown);
}

/// A job that waits for its time runs now if somebody wants it.
pub async fn waiting_job_is_retried_now(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    node.work(quick());
    let id = node.enqueue(job(1).after(Duration::from_hours(1))).await;
    assert_eq!(world.job(id).await.state, JobState::Scheduled);
    assert!(world.admin.retry(id).await.expect("retry"));
    world.drained().await;
    assert_eq!(seen.all(), [1]);
    assert!(!world.admin.retry(id).await.expect("retry"));
}

/// Depths count each state of each queue.
pub async fn depths_count_every_state(world: World) {
    let node = Node::start(&world, producer()).await;
    node.enqueue(job(1)).await;
    node.enqueue(job(2).after(Duration::from_hours(1))).await;
    node.enqueue(job(3).on("other")).await;
    world.arrived().await;
    let depths = world.admin.depths().await.expect("ask");
    let [default, other] = depths.as_slice() else { panic!("two queues: {depths:?}") };
    assert_eq!((default.queue.as_str(), default.available, default.scheduled), ("default", 1, 1));
    assert_eq!((other.queue.as_str(), other.available, other.running), ("other", 1, 0));
    assert_eq!((default.retrying, other.retrying), (0, 0), "nothing was tried yet");
    assert!(default.oldest_seconds >= 0.0);
    let glance = world.admin.depths_bounded().await.expect("ask");
    let counts = |depth: &Depth| (depth.queue.clone(), depth.available, depth.scheduled, depth.running);
    assert!(glance.iter().map(counts).eq(depths.iter().map(counts)), "few are counted exactly: {glance:?}");
    assert!(world.admin.vitals().await.expect("ask").iter().all(|vital| vital.value >= 0.0));
}
