//! Enqueueing in a business transaction, and effects that are applied once.

use super::World;
use super::node::{Node, hasty, job, kind, noting, number_of, quick};
use super::world::{Seen, until};
use crate::delivery::Failure;
use crate::store::Execution;
use crate::{Config, Error, History, Policy};
use std::time::Duration;

/// A job whose transaction is rolled back does not exist. One that is enqueued after it is seen, so that not
/// seeing the first is no matter of time.
pub async fn rolled_back_job_is_never_seen(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    node.work(quick());
    let mut tx = world.begin().await;
    node.queue.enqueue_in(&mut tx, job(1)).await.expect("enqueue");
    tx.roll_back().await.expect("roll back");
    node.enqueue(job(2)).await;
    world.drained().await;
    assert_eq!(seen.all(), [2]);
}

/// A job is seen when its transaction commits, and not before.
pub async fn committed_job_runs(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    node.work(quick());
    let mut tx = world.begin().await;
    let id = node.queue.enqueue_in(&mut tx, job(1)).await.expect("enqueue").stored().expect("new");
    node.enqueue(job(2)).await;
    until("the other job has run", async || seen.all() == [2]).await;
    assert!(world.admin.show(id).await.expect("ask").is_none());
    tx.commit().await.expect("commit");
    until("the job has run", async || seen.all() == [2, 1]).await;
    let unknown = crate::Envelope::new("unknown.v1", &()).expect("JSON");
    assert!(matches!(node.queue.enqueue(vec![unknown]).await, Err(Error::UnknownKind(_))));
}

/// A handler commits its effect and fails after it: the redelivery applies nothing.
pub async fn inbox_applies_once_over_redelivery(world: World) {
    world.make_table("n bigint not null").await;
    let seen = Seen::default();
    let noted = seen.clone();
    let node = Node::with(&world, &Config::default(), |hands| {
        let hands = hands.clone();
        kind(hasty(), move |delivery| {
            let (hands, noted) = (hands.clone(), noted.clone());
            async move {
                noted.note(i64::from(delivery.job.attempt));
                let queue = hands.queue();
                let mut tx = hands.begin().await?;
                if !queue.once(&mut tx, &delivery).await? {
                    return Ok(());
                }
                let twice = queue.once(&mut tx, &delivery).await;
                assert!(matches!(twice, Err(Error::OnceTwice(_))));
                tx.execute("insert into effect values ($1)", &[&number_of(&delivery)]).await?;
                tx.commit().await?;
                Err(Failure::Retry("after the commit".to_owned()))
            }
        })
    })
    .await;
    node.work(quick());
    node.enqueue(job(1)).await;
    world.drained().await;
    assert_eq!(seen.all(), [1, 2]);
    assert_eq!(world.number("select count(*) from effect").await, 1);
}

/// A completion in the effects' transaction leaves no job behind, and the worker settles nothing.
pub async fn completion_commits_with_the_effects(world: World) {
    world.make_table("n bigint not null").await;
    let policy = Policy { history: History::All, ..hasty() };
    let node = Node::with(&world, &Config::default(), |hands| {
        let hands = hands.clone();
        kind(policy, move |delivery| {
            let hands = hands.clone();
            async move {
                let queue = hands.queue();
                let mut tx = hands.begin().await?;
                tx.execute("insert into effect values ($1)", &[&number_of(&delivery)]).await?;
                queue.complete_in(&mut tx, &delivery).await?;
                tx.commit().await?;
                Ok(())
            }
        })
    })
    .await;
    node.work(quick());
    let id = node.enqueue(job(1)).await;
    world.drained().await;
    until("it is counted", async || node.counted("onefold_queue_completed") == 1).await;
    assert_eq!(node.counted("onefold_queue_lost_completions"), 0);
    assert_eq!(world.job(id).await.state, crate::admin::JobState::Done);
    assert_eq!(world.number("select count(*) from effect").await, 1);
}

/// A handler that takes the completion into a transaction and drops that has not succeeded.
pub async fn completion_that_is_not_committed_is_a_failure(world: World) {
    let node = Node::with(&world, &Config::default(), |hands| {
        let hands = hands.clone();
        kind(Policy { attempts_max: 1, ..hasty() }, move |delivery| {
            let hands = hands.clone();
            async move {
                let queue = hands.queue();
                let mut tx = hands.begin().await?;
                queue.complete_in(&mut tx, &delivery).await?;
                tx.roll_back().await?;
                Ok(())
            }
        })
    })
    .await;
    node.work(quick());
    let id = node.enqueue(job(1)).await;
    until("it is dead", async || world.job(id).await.state == crate::admin::JobState::Dead).await;
}

/// After a rescue the old owner's transaction must not commit the completion, whether the job waits or runs.
pub async fn completion_in_a_transaction_is_refused_after_a_rescue(world: World) {
    let node = Node::start(&world, noting(hasty(), &Seen::default())).await;
    let id = node.enqueue(job(1)).await;
    world.arrived().await;
    let (old, new) =
        (world.register(Duration::from_mins(1)).await, world.register(Duration::from_mins(1)).await);
    let stale = Execution { id, run: world.fetch(old).await.expect("a job").run };
    world.rescue(old).await;
    let mut tx = world.begin().await;
    assert!(!world.store.complete_in(&mut tx, stale, None).await.expect("ask"), "it waits");
    let current = Execution { id, run: world.fetch(new).await.expect("the job is free").run };
    assert!(!world.store.complete_in(&mut tx, stale, None).await.expect("ask"), "another runs it");
    assert!(world.store.complete_in(&mut tx, current, None).await.expect("ask"));
    tx.commit().await.expect("commit");
    assert_eq!(world.live().await, 0);
}
