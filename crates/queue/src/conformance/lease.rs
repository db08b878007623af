//! Leases of workers.

use super::World;
use super::faulty::Renewals;
use super::node::{Node, brief, hasty, job, kind, number_of};
use super::world::{Seen, until};
use crate::admin::JobState;
use onefold_core::Clock;

/// A worker that was rescued cancels its handlers, takes a new place and works on.
pub async fn worker_that_lost_its_lease_goes_on_under_a_new_one(world: World) {
    let (begun, ended) = (Seen::default(), Seen::default());
    let (began, end) = (begun.clone(), ended.clone());
    let kinds = kind(hasty(), move |delivery| {
        let (began, end, n) = (began.clone(), end.clone(), number_of(&delivery));
        let first = delivery.job.attempt == 1;
        async move {
            began.note(n);
            if first {
                std::future::pending::<()>().await;
            }
            end.note(n);
            Ok(())
        }
    });
    let node = Node::start(&world, kinds).await;
    let _leading = node.lead(Vec::new(), Clock::system());
    node.work(brief());
    node.enqueue(job(1)).await;
    until("the job runs", async || begun.all() == [1]).await;
    node.faulty.renewals(Renewals::Lying);
    until("the worker is rescued", async || node.counted("onefold_queue_rescued") == 1).await;
    node.faulty.renewals(Renewals::Honest);
    until("it runs the job again", async || ended.all() == [1]).await;
    world.drained().await;
    assert_eq!(begun.all(), [1, 1]);
}

/// A worker that cannot reach the engine cancels its handlers by its own clock, before anybody may take its jobs.
pub async fn worker_that_cannot_renew_cancels_its_handlers(world: World) {
    let (begun, dropped) = (Seen::default(), Seen::default());
    let (began, gone) = (begun.clone(), dropped.clone());
    let kinds = kind(hasty(), move |delivery| {
        began.note(number_of(&delivery));
        let guard = OnDrop(gone.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(())
        }
    });
    let node = Node::start(&world, kinds).await;
    node.work(brief());
    let id = node.enqueue(job(1)).await;
    until("the job runs", async || begun.all() == [1]).await;
    node.faulty.renewals(Renewals::Hanging);
    until("its handler is dropped", async || !dropped.all().is_empty()).await;
    let record = world.job(id).await;
    assert_eq!((record.state, record.attempt), (JobState::Running, 1), "it is left to the rescue");
}

struct OnDrop(Seen);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.note(1);
    }
}
