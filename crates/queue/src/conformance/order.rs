//! In which order jobs are handed out, and when.

use super::World;
use super::node::{Node, hasty, job, kind, noting, number_of, quick};
use super::world::{Seen, until};
use crate::{Priority, WorkerConfig};
use chrono::Utc;
use onefold_core::Clock;
use std::time::Duration;

fn one_at_a_time() -> WorkerConfig {
    WorkerConfig { concurrency: 1, ..quick() }
}

/// Better priorities first, and within one the order of enqueueing.
pub async fn better_priority_runs_first(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    for (n, priority) in
        [(4, Priority::Low), (2, Priority::Normal), (1, Priority::High), (0, Priority::Urgent)]
    {
        node.enqueue(job(n).with_priority(priority)).await;
    }
    node.enqueue(job(3)).await;
    world.arrived().await;
    node.work(one_at_a_time());
    world.drained().await;
    assert_eq!(seen.all(), [0, 1, 2, 3, 4]);
}

/// A job with a time runs after it, by the engine's clock, and not a poll later.
pub async fn scheduled_job_does_not_run_before_its_time(world: World) {
    let seen = Seen::default();
    let noted = seen.clone();
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            let late = Utc::now() - delivery.job.run_at;
            assert!(delivery.job.fetched_at >= delivery.job.run_at, "before its time");
            noted.note(late.num_milliseconds());
            async { Ok(()) }
        }),
    )
    .await;
    node.work(WorkerConfig { poll: Duration::from_mins(1), ..quick() });
    node.enqueue(job(1).after(Duration::from_millis(700))).await;
    let clock = Clock::system();
    node.enqueue(job(2).at(chrono::DateTime::from(clock.wall() + Duration::from_millis(300)))).await;
    until("both have run", async || seen.all().len() == 2).await;
    assert!(seen.all().iter().all(|late_ms| *late_ms < 5000), "late by {:?} ms", seen.all());
}

/// Two queues of one worker take turns within a priority; neither waits for the other to be empty.
pub async fn queues_of_one_worker_share_it_fairly(world: World) {
    let seen = Seen::default();
    let noted = seen.clone();
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            noted.note(number_of(&delivery));
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(())
            }
        }),
    )
    .await;
    let jobs = (0..200).map(|n| job(n % 2).on(if n % 2 == 0 { "even" } else { "odd" }));
    node.queue.enqueue(jobs.collect()).await.expect("enqueue");
    world.arrived().await;
    let queues = vec!["even".to_owned(), "odd".to_owned()];
    node.work(WorkerConfig { queues, batch_jobs_max: 4, ..one_at_a_time() });
    until("40 have run", async || seen.all().len() >= 40).await;
    let odd: i64 = seen.all().iter().take(40).sum();
    assert!((10..=30).contains(&odd), "{odd} of 40 from the second queue");
}
