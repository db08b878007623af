//! Leases of workers.

use super::World;
use super::faulty::Faulty;
use super::node::{Node, hasty, job, kind, number_of, quick};
use super::world::{Seen, until};
use crate::Config;
use onefold_core::Clock;
use std::sync::Arc;

/// A worker that was rescued cancels its handlers, takes a new place and works on.
pub async fn worker_that_lost_its_lease_goes_on_under_a_new_one(world: World) {
    let (begun, ended) = (Seen::default(), Seen::default());
    let faulty = Faulty::new(Arc::clone(&world.store));
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
    let node = Node::over(faulty.clone(), kinds, &Config::default());
    let _leading = node.lead(&world, Vec::new(), Clock::system());
    node.work(quick());
    node.enqueue(job(1)).await;
    until("the job runs", async || begun.all() == [1]).await;
    faulty.lie(true);
    until("the worker is rescued", async || node.counted("onefold_queue_rescued") == 1).await;
    faulty.lie(false);
    until("it runs the job again", async || ended.all() == [1]).await;
    world.drained().await;
    assert_eq!(begun.all(), [1, 1]);
}
