//! Graceful stops.

use super::World;
use super::node::{Node, hanging, hasty, job, kind, number_of, producer, quick};
use super::world::{Seen, until};
use crate::admin::{Filter, JobState};
use crate::{Buffered, Config, WorkerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// One job runs, others are prefetched. The stop gives those back at once, unattempted, and lets the one end.
pub async fn graceful_stop_gives_back_what_was_prefetched(world: World) {
    let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let (noted, opened) = (seen.clone(), Arc::clone(&gate));
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            let (noted, opened, n) = (noted.clone(), Arc::clone(&opened), number_of(&delivery));
            async move {
                noted.note(n);
                // The first jobs are short, so that the worker prefetches; then one waits for the gate.
                if n == 20 {
                    opened.acquire().await.expect("open").forget();
                }
                Ok(())
            }
        }),
    )
    .await;
    node.queue.enqueue((0..60).map(job).collect()).await.expect("enqueue");
    node.work(WorkerConfig { concurrency: 1, ..quick() });
    until("job 20 runs and others are prefetched", async || {
        let running = Filter { state: Some(JobState::Running), ..Filter::default() };
        seen.all().last() == Some(&20) && world.admin.list(&running).await.expect("ask").len() > 1
    })
    .await;
    tokio::join!(node.stop(), async {
        until("what was prefetched is available again", async || {
            let available = Filter { state: Some(JobState::Available), ..Filter::default() };
            world.admin.list(&available).await.expect("ask").len() == 39
        })
        .await;
        gate.add_permits(1);
    });
    let left = world.admin.list(&Filter::default()).await.expect("ask");
    assert_eq!(left.len(), 39, "the running job ended");
    assert!(left.iter().all(|job| job.attempt == 0 && job.errors.is_empty()));
}

/// A handler that does not end within the grace is cancelled, and its job given back unattempted.
pub async fn running_job_is_given_back_when_the_grace_is_over(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, hanging(hasty(), &seen)).await;
    node.work(WorkerConfig { grace: Duration::from_millis(100), ..quick() });
    let id = node.enqueue(job(1)).await;
    until("the job runs", async || seen.all() == [1]).await;
    node.stop().await;
    let record = world.job(id).await;
    assert_eq!((record.state, record.attempt), (JobState::Available, 0));
}

/// Everything that was accepted is stored when a node stops.
pub async fn buffered_jobs_are_stored_before_the_node_stops(world: World) {
    let config = Config { buffer_delay: Duration::from_millis(500), ..Config::default() };
    let node = Node::with(&world, &config, |_| producer()).await;
    for n in 0..2500 {
        assert_eq!(node.queue.enqueue_buffered(job(n)).expect("known"), Buffered::Accepted);
    }
    node.queue.flush().await;
    assert_eq!(world.live().await, 2500, "a flush waits for all before it");
    for n in 0..10 {
        assert_eq!(node.queue.enqueue_buffered(job(n)).expect("known"), Buffered::Accepted);
    }
    node.stop().await;
    assert_eq!(world.live().await, 2510);
}

/// A full buffer drops and counts, and never blocks.
pub async fn full_buffer_drops_and_counts(world: World) {
    let config = Config { buffer_jobs_max: 10, buffer_delay: Duration::from_secs(1), ..Config::default() };
    let node = Node::with(&world, &config, |_| producer()).await;
    let answers: Vec<_> = (0..5000).map(|n| node.queue.enqueue_buffered(job(n)).expect("known")).collect();
    let dropped = answers.iter().filter(|answer| **answer == Buffered::Dropped).count();
    assert!(dropped > 0);
    assert_eq!(node.counted("onefold_queue_buffer_dropped"), dropped as u64);
    node.stop().await;
    assert_eq!(world.live().await, 5000 - dropped);
}
