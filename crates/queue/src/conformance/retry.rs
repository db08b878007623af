//! Failures: retried, snoozed, dead, replayed.

use super::World;
use super::node::{Node, hasty, job, kind, noting, number_of, quick};
use super::world::{Seen, until};
use crate::Policy;
use crate::admin::{Filter, JobState};
use crate::delivery::Failure;
use std::time::Duration;

/// Three attempts, three errors, then a dead letter with the trace it had.
pub async fn failed_job_is_retried_and_then_dead_with_its_history(world: World) {
    let seen = Seen::default();
    let noted = seen.clone();
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            noted.note(i64::from(delivery.job.attempt));
            async { Err(Failure::Retry("the mail server is down".to_owned())) }
        }),
    )
    .await;
    node.work(quick());
    let trace = onefold_core::TraceContext::root(true);
    let id = trace.scope(async { node.enqueue(job(1)).await }).await;
    until("it is dead", async || world.job(id).await.state == JobState::Dead).await;
    let record = world.job(id).await;
    assert_eq!(seen.all(), [1, 2, 3]);
    assert_eq!((record.attempt, record.attempts_max, record.errors.len()), (3, 3, 3));
    assert!(record.errors.iter().all(|failed| failed.error.contains("mail server")), "{record:?}");
    let traceparent = record.trace.expect("the job was enqueued in a trace");
    assert!(traceparent.contains(&trace.trace_id()), "{traceparent}");
    until("it is counted", async || node.counted("onefold_queue_dead") == 1).await;
}

/// A dead letter comes back under its own id, with its attempts counted anew and its history kept.
pub async fn dead_letter_is_replayed_under_its_id(world: World) {
    let failing = Node::start(&world, kind(hasty(), |_| async { Err(Failure::Dead("no".to_owned())) })).await;
    failing.work(quick());
    let id = failing.enqueue(job(7).unique("k")).await;
    failing.enqueue(job(8)).await;
    until("both are dead", async || world.admin.dead(&Filter::default()).await.expect("ask").len() == 2)
        .await;
    failing.stop().await;

    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    let twin = node.enqueue(job(9).unique("k")).await;
    let one = Filter { id: Some(id), ..Filter::default() };
    assert_eq!(world.admin.replay(&one).await.expect("replay"), [], "its key is taken");
    world.admin.cancel(twin).await.expect("cancel");
    assert_eq!(world.admin.replay(&one).await.expect("replay"), [id]);
    assert_eq!((world.job(id).await.attempt, world.job(id).await.errors.len()), (0, 1));
    node.work(quick());
    world.drained().await;
    assert_eq!(seen.all(), [7]);
    let all = Filter { kind: Some("k.v1".to_owned()), ..Filter::default() };
    assert_eq!(world.admin.replay(&all).await.expect("replay").len(), 1);
    world.drained().await;
    assert_eq!(seen.all(), [7, 8]);
}

/// What does not answer "failed" by itself is a failure too.
pub async fn panic_and_timeout_are_failures(world: World) {
    let policy = Policy { attempts_max: 1, timeout: Duration::from_millis(50), ..hasty() };
    let node = Node::start(
        &world,
        kind(policy, |delivery| {
            let n = number_of(&delivery);
            async move {
                assert!(n != 1, "one is not a number I like");
                std::future::pending().await
            }
        }),
    )
    .await;
    node.work(quick());
    let (panics, hangs) = (node.enqueue(job(1)).await, node.enqueue(job(2)).await);
    for (id, says) in [(panics, "not a number I like"), (hangs, "longer than")] {
        until("it is dead", async || world.job(id).await.state == JobState::Dead).await;
        let record = world.job(id).await;
        assert!(record.errors[0].error.contains(says), "{record:?}");
    }
    let alive = node.enqueue(job(1)).await;
    until("the worker lives", async || world.job(alive).await.state == JobState::Dead).await;
}

/// A snoozed job comes back without having spent an attempt.
pub async fn snooze_counts_no_attempt(world: World) {
    let seen = Seen::default();
    let noted = seen.clone();
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            noted.note(i64::from(delivery.job.attempt));
            let snoozed = noted.all().len() < 5;
            async move { if snoozed { Err(Failure::Snooze(Duration::from_millis(5))) } else { Ok(()) } }
        }),
    )
    .await;
    node.work(quick());
    node.enqueue(job(1)).await;
    until("it has run five times", async || seen.all().len() == 5).await;
    world.drained().await;
    assert_eq!(seen.all(), [1, 1, 1, 1, 1]);
}

/// A handler may say that trying again is useless.
pub async fn job_is_dead_at_once_where_its_handler_says_so(world: World) {
    let node = Node::start(&world, kind(hasty(), |_| async { Err(Failure::Dead("gone".to_owned())) })).await;
    node.work(quick());
    let id = node.enqueue(job(1)).await;
    until("it is dead", async || world.job(id).await.state == JobState::Dead).await;
    assert_eq!(world.job(id).await.attempt, 1);
}
