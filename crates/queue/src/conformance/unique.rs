//! Unique jobs.

use super::World;
use super::node::{Node, hasty, job, noting, quick};
use super::world::{Seen, until};
use crate::Enqueued;
use std::time::Duration;

/// A key admits one living job; when it has ended, the next.
pub async fn job_is_unique_while_it_lives(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    let first = node.enqueue(job(1).unique("k")).await;
    let mut tx = world.begin().await;
    let again = node.queue.enqueue_in(&mut tx, job(2).unique("k")).await.expect("enqueue");
    tx.commit().await.expect("commit");
    assert_eq!(again, Enqueued::Duplicate(Some(first)));
    node.enqueue(job(3).unique("another")).await;
    node.work(quick());
    world.drained().await;
    node.enqueue(job(4).unique("k")).await;
    until("the next has run", async || seen.all().len() == 3).await;
    let mut all = seen.all();
    all.sort_unstable();
    assert_eq!(all, [1, 3, 4]);
}

/// A window outlives its job, and ends.
pub async fn job_is_unique_for_a_window(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    node.work(quick());
    let window = Duration::from_secs(1);
    node.enqueue(job(1).unique_for("k", window)).await;
    world.drained().await;
    let again = node.queue.enqueue(vec![job(2).unique_for("k", window)]).await.expect("enqueue");
    assert_eq!(again, [Enqueued::Duplicate(None)]);
    until("the window has ended", async || {
        let answers = node.queue.enqueue(vec![job(3).unique_for("k", window)]).await.expect("enqueue");
        answers[0].stored().is_some()
    })
    .await;
    world.drained().await;
    assert_eq!(seen.all(), [1, 3]);
}

/// Answers stand in the order of their jobs, also where keys repeat within a batch.
pub async fn duplicates_within_one_batch_are_told_apart(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    let taken = node.enqueue(job(0).unique("taken")).await;
    let batch = vec![
        job(1),
        job(2).unique("taken"),
        job(3).unique("new"),
        job(4).unique("new"),
        job(5),
        job(6).unique_for("windowed", Duration::from_mins(1)),
    ];
    let answers = node.queue.enqueue(batch).await.expect("enqueue");
    let new = answers[2].stored().expect("the first of its key");
    assert_eq!(answers[1], Enqueued::Duplicate(Some(taken)));
    assert_eq!(answers[3], Enqueued::Duplicate(Some(new)));
    for (index, n) in [(0, 1), (4, 5), (5, 6)] {
        let id = answers[index].stored().expect("it is new");
        assert_eq!(world.job(id).await.args.get(), n.to_string());
    }
}
