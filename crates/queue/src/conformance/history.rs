//! What is kept of ended jobs.

use super::World;
use super::node::{Node, hasty, job, kinds, quick};
use crate::admin::{Filter, JobState};
use crate::delivery::Failure;
use crate::{Envelope, History, Policy};

/// None, failures or all, by the kind's policy.
pub async fn history_keeps_what_the_policy_asks_for(world: World) {
    let with = |history| Policy { history, ..hasty() };
    let of = [
        ("none.v1", with(History::None)),
        ("failures.v1", with(History::Failures)),
        ("all.v1", with(History::All)),
    ];
    let names = of.map(|(name, _)| name);
    let node = Node::start(
        &world,
        kinds(of, |delivery| async move {
            let fails = delivery.job.attempt == 1 && delivery.job.args.get() == "1";
            if fails { Err(Failure::Retry("once".to_owned())) } else { Ok(()) }
        }),
    )
    .await;
    node.work(quick());
    for name in names {
        for n in [0, 1] {
            node.enqueue(Envelope { kind: name.to_owned(), ..job(n) }).await;
        }
    }
    world.drained().await;
    let done = Filter { state: Some(JobState::Done), ..Filter::default() };
    let mut kept: Vec<String> = world
        .admin
        .list(&done)
        .await
        .expect("ask")
        .iter()
        .map(|job| format!("{} {}", job.kind, job.args.get()))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, ["all.v1 0", "all.v1 1", "failures.v1 1"]);
}
